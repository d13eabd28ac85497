"""The tutorial's network, layer by layer, and its numbers, bit by bit."""

import runpy
import sys
from pathlib import Path

import numpy as np
from conftest import ROOT, make_pair, run_python
from tensorflow import keras

from pyimagesearch.minivggnet import MiniVGGNet

SCRIPTS = [ROOT / "train.py", ROOT / "tests" / "published.py"]
OPTIONS = ["-t", "train.csv", "-v", "test.csv", "-e", "2", "-b", "8", "--seed", "4"]


def record(method, results):
    """Wrap fit or predict so that it writes down what it returns."""

    def recording(*args, **options):
        result = method(*args, **options)
        results.update(getattr(result, "history", {"predictions": result}))
        return result

    return recording


def test_every_bit_is_the_published_programs_and_so_is_the_report(tmp_path):
    make_pair(tmp_path, 27, 13)
    outputs = [run_python(tmp_path, __file__, path, *OPTIONS) for path in SCRIPTS]
    ours, published = (np.load(tmp_path / f"{path.stem}.npz") for path in SCRIPTS)
    for figure, count in (("loss", 2), ("accuracy", 2), ("predictions", 13)):
        assert len(ours[figure]) == count
        assert ours[figure].tobytes() == published[figure].tobytes(), figure
    report, other = (text[text.rindex("   precision") :] for text in outputs)
    assert report == other
    # The last validation was of the same rows.
    assert f"accuracy {ours['val_accuracy'][-1]:.2f} " in " ".join(report.split())


BLOCK = ["Conv2D", "Activation", "BatchNormalization"] * 2 + ["MaxPooling2D", "Dropout"]
DENSE = ["Dense", "Activation"]
HEAD = ["Flatten", *DENSE, "BatchNormalization", "Dropout", *DENSE]


def test_its_layers():
    model = MiniVGGNet.build(64, 64, 3, 17)
    configs = [layer.get_config() for layer in model.layers]
    values = lambda name: [config[name] for config in configs if name in config]
    assert [type(layer).__name__ for layer in model.layers] == BLOCK * 2 + HEAD
    assert values("activation").count("relu") == 5
    assert values("activation")[-1] == "softmax"
    assert values("filters") == [32, 32, 64, 64]
    assert values("rate") == [0.25, 0.25, 0.5]
    assert values("units") == [512, 17]
    assert model.count_params() == 8_466_225


if __name__ == "__main__":
    script = sys.argv.pop(1)
    recorded = {}
    for name in ("fit", "predict"):
        setattr(keras.Model, name, record(getattr(keras.Model, name), recorded))
    runpy.run_path(script, run_name="__main__")
    np.savez(Path(script).stem, **recorded)
