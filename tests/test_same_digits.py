"""With the same seed, train.py computes what the published program computes."""

import re
import runpy
import sys

import numpy as np
import pytest
from conftest import ROOT, make_pair, start_python
from tensorflow import keras

SCRIPTS = {"train": ROOT / "train.py", "published": ROOT / "tests" / "published.py"}
OPTIONS = "-t train.csv -v test.csv -e 2 -b 8 --seed 4"


def record(method, results):
    """Wrap fit or predict so that it writes down what it returns."""

    def recording(*args, **options):
        result = method(*args, **options)
        results.update(getattr(result, "history", {"predictions": result}))
        return result

    return recording


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the two programs computed in 2 epochs on 27 and 13 rows, batch size 8."""
    folder = tmp_path_factory.mktemp("digits")
    make_pair(folder, 27, 13)
    processes = [
        start_python(folder, __file__, path, f"{name}.npz", *OPTIONS.split())
        for name, path in SCRIPTS.items()
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    reports = [output[output.rindex("   precision") :] for output, _ in outputs]
    return *(np.load(folder / f"{name}.npz") for name in SCRIPTS), reports


@pytest.mark.parametrize("figure", ["loss", "accuracy", "predictions"])
def test_every_bit_is_the_published_programs_and_so_is_the_report(results, figure):
    ours, published, reports = results
    assert len(ours[figure]) == (13 if figure == "predictions" else 2)
    assert ours[figure].tobytes() == published[figure].tobytes()
    assert reports[0] == reports[1]


def test_the_last_validation_accuracy_is_the_accuracy_of_the_report(results):
    ours, _, (report, _) = results
    accuracy = re.search(r"accuracy +(\S+)", report)[1]
    assert f"{ours['val_accuracy'][-1]:.2f}" == accuracy


if __name__ == "__main__":
    script, path = sys.argv[1:3]
    del sys.argv[1:3]
    recorded = {}
    for name in ("fit", "predict"):
        setattr(keras.Model, name, record(getattr(keras.Model, name), recorded))
    runpy.run_path(script, run_name="__main__")
    np.savez(path, **recorded)
