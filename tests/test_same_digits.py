"""With the same seed, train.py computes what the published program computes."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

SCRIPTS = {"train": ROOT / "train.py", "published": ROOT / "tests" / "published.py"}
OPTIONS = "-t train.csv -v test.csv -e 2 -b 8 --seed 4"


def record(script, results):
    """Run a script, and save what its model.fit and model.predict return."""
    from tensorflow import keras

    fit, predict = keras.Model.fit, keras.Model.predict
    recorded = {}

    def recording_fit(*args, **options):
        history = fit(*args, **options)
        recorded.update(history.history)
        return history

    def recording_predict(*args, **options):
        recorded["predictions"] = predict(*args, **options)
        return recorded["predictions"]

    keras.Model.fit, keras.Model.predict = recording_fit, recording_predict
    runpy.run_path(script, run_name="__main__")
    np.savez(results, **recorded)


@pytest.fixture(scope="module")
def results(make_pair, tmp_path_factory):
    """What the two programs computed in 2 epochs on 27 and 13 rows, batch size 8."""
    folder = tmp_path_factory.mktemp("digits")
    make_pair(folder, 27, 13)
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, path, f"{name}.npz", *OPTIONS.split()],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, path in SCRIPTS.items()
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    reports = [output[output.rindex("   precision") :] for output in outputs]
    test_csv = (folder / "test.csv").read_text()
    labels = [line.split(",")[0] for line in test_csv.splitlines()]
    return *(np.load(folder / f"{name}.npz") for name in SCRIPTS), reports, labels


@pytest.mark.parametrize("figure", ["loss", "accuracy", "predictions"])
def test_every_bit_is_the_published_programs(results, figure):
    ours, published, *_ = results
    assert len(ours[figure]) == (13 if figure == "predictions" else 2)
    assert ours[figure].tobytes() == published[figure].tobytes()


def test_the_report_is_the_published_programs(results):
    *_, (ours, published), _ = results
    assert ours == published


def test_the_last_validation_accuracy_is_the_accuracy_of_the_report(results):
    ours, *_, labels = results
    predicted = np.array(["iris", "lily", "rose"])[ours["predictions"].argmax(axis=1)]
    accuracy = np.mean(predicted == labels)
    assert ours["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-6)


if __name__ == "__main__":
    script, results_file = sys.argv[1:3]
    sys.argv[:3] = [script]
    record(script, results_file)
