"""The tutorial's network, layer by layer, and its numbers, bit by bit."""

import re
import runpy
import sys

import numpy as np
from conftest import ROOT, make_pair, start_python
from tensorflow import keras

from pyimagesearch.minivggnet import MiniVGGNet

SCRIPTS = {"train": ROOT / "train.py", "published": ROOT / "tests" / "published.py"}
OPTIONS = "-t train.csv -v test.csv -e 2 -b 8 --seed 4"


def record(method, results):
    """Wrap fit or predict so that it writes down what it returns."""

    def recording(*args, **options):
        result = method(*args, **options)
        results.update(getattr(result, "history", {"predictions": result}))
        return result

    return recording


def test_every_bit_is_the_published_programs_and_so_is_the_report(tmp_path):
    make_pair(tmp_path, 27, 13)
    processes = [
        start_python(tmp_path, __file__, path, f"{name}.npz", *OPTIONS.split())
        for name, path in SCRIPTS.items()
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    ours, published = (np.load(tmp_path / f"{name}.npz") for name in SCRIPTS)
    for figure, count in (("loss", 2), ("accuracy", 2), ("predictions", 13)):
        assert len(ours[figure]) == count
        assert ours[figure].tobytes() == published[figure].tobytes(), figure
    report, other = (text[text.rindex("   precision") :] for text, _ in outputs)
    assert report == other
    # The last validation was of the same rows.
    accuracy = re.search(r"accuracy +(\S+)", report)[1]
    assert f"{ours['val_accuracy'][-1]:.2f}" == accuracy


BLOCK = ["Conv2D", "Activation", "BatchNormalization"] * 2 + ["MaxPooling2D", "Dropout"]
HEAD = ["Flatten", "Dense", "Activation", "BatchNormalization", "Dropout"]


def test_its_layers():
    model = MiniVGGNet.build(64, 64, 3, 17)

    def values(name):
        return [getattr(layer, name) for layer in model.layers if hasattr(layer, name)]

    layers = [type(layer).__name__ for layer in model.layers]
    assert layers == BLOCK * 2 + HEAD + ["Dense", "Activation"]
    activations = [function.__name__ for function in values("activation")]
    assert activations.count("relu") == 5 and activations[-1] == "softmax"
    assert values("filters") == [32, 32, 64, 64]
    assert values("rate") == [0.25, 0.25, 0.5]
    assert values("units") == [512, 17]
    assert model.count_params() == 8_466_225


if __name__ == "__main__":
    script, path = sys.argv[1:3]
    del sys.argv[1:3]
    recorded = {}
    for name in ("fit", "predict"):
        setattr(keras.Model, name, record(getattr(keras.Model, name), recorded))
    runpy.run_path(script, run_name="__main__")
    np.savez(path, **recorded)
