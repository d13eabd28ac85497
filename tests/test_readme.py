"""Every Python block of README.md runs as it stands, in order, on small data.

A block's first line may say more than ```python. "raises=Name": it shows what no longer
works, and must fail like that. "devices": it runs on two logical CPU devices in place of
two GPUs. "workers": it is a script for two processes.
"""

import builtins
import os
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, csv_bytes, make_rows
from PIL import Image
from tensorflow import keras

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w+) ?([^\n]*)\n(.*?)^```$", README)
PYTHON = [(kind, code) for language, kind, code in BLOCKS if language == "python"]
SHELL = [code for language, _, code in BLOCKS if language == "sh"]

TWO_DEVICES = """if True:
    import functools
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    tf.distribute.MirroredStrategy = functools.partial(
        tf.distribute.MirroredStrategy, devices=["CPU:0", "CPU:1"]
    )
"""
CHECK_DEVICES = """
assert strategy.num_replicas_in_sync == 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a reader: the two CSVs, a picture, a folder of photographs."""
    folder = tmp_path_factory.mktemp("readme")
    labels = ["iris", "rose", "lily", "daisy", "rose", "iris"] * 12
    rows = csv_bytes(make_rows(labels))
    (folder / "flowers17_training.csv").write_bytes(rows)
    (folder / "flowers17_testing.csv").write_bytes(csv_bytes(make_rows(labels[:40], 1)))
    lines = rows.splitlines(keepends=True)
    (folder / "part0.csv").write_bytes(b"".join(lines[:36]))
    (folder / "part1.csv").write_bytes(b"".join(lines[36:]))
    images = [Image.fromarray(image) for _, image in make_rows(["rose"] * 12, 2)]
    images[0].save(folder / "my_flower.jpg")
    for k, image in enumerate(images):
        path = folder / "flower_photos" / ("roses", "tulips")[k % 2] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def run(folder, *args):
    """Start Python in the folder, with the project in reach; return the process."""
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("kind", "code"), PYTHON, ids=[f"block{k}" for k in range(1, len(PYTHON) + 1)]
)
def test_a_python_block_runs(in_folder, kind, code):
    block = in_folder / "block.py"
    block.write_text(code)
    if kind == "":
        runpy.run_path(block, run_name="__main__")
    elif kind.startswith("raises="):
        with pytest.raises(getattr(builtins, kind.removeprefix("raises="))):
            runpy.run_path(block, run_name="__main__")
    elif kind == "devices":
        process = run(in_folder, "-c", TWO_DEVICES + code + CHECK_DEVICES)
        output, _ = process.communicate()
        assert process.returncode == 0, output
    elif kind == "workers":
        (in_folder / "worker.py").write_text(code)
        processes = [run(in_folder, "worker.py", task) for task in "01"]
        outputs = [process.communicate()[0] for process in processes]
        assert [p.returncode for p in processes] == [0, 0], outputs
        # Not a bit of difference: both have made the same updates.
        assert same_weights(*(in_folder / f"worker{k}.weights.h5" for k in (0, 1)))
    else:
        pytest.fail(f"no block of the kind {kind!r} is known")


def same_weights(one, other):
    import h5py

    def arrays(path):
        found = {}
        with h5py.File(path) as weights:
            weights.visititems(
                lambda name, item: (
                    found.update({name: item[()]}) if hasattr(item, "shape") else None
                )
            )
        return found

    one, other = arrays(one), arrays(other)
    assert len(one) > 10 and one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_your_own_images(in_folder):
    (code,) = [code for code in SHELL if "flower_photos" in code]
    code = code.replace("train.py", str(ROOT / "train.py"))
    code = re.sub(r"(?m)^python ", f"{sys.executable} ", code)
    result = subprocess.run(
        ["bash", "-ec", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "roses" in result.stdout and "tulips" in result.stdout


@pytest.fixture
def csv_dataset(in_folder):
    """The class CsvDataset of the recipe, as a reader would copy it."""
    (code,) = [code for _, code in PYTHON if "class CsvDataset" in code]
    block = in_folder / "block.py"
    block.write_text(code)
    return runpy.run_path(block, run_name="recipe")


class Watcher(keras.Model):
    """Learns nothing, and notes what it is given."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def train_step(self, data):
        self.rows += [row.tobytes() for row in data[0].numpy()]
        return {"loss": 0.0}


@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_several_workers_give_each_row_once_an_epoch(csv_dataset, workers, processes):
    labels = csv_dataset["read_labels"]("flowers17_training.csv")
    lb = csv_dataset["LabelBinarizer"]().fit(labels)
    dataset = csv_dataset["CsvDataset"](
        "flowers17_training.csv", 16, lb, workers=workers, use_multiprocessing=processes
    )
    model = Watcher()
    model.compile(loss="mse", run_eagerly=True)
    model.fit(dataset, epochs=2, verbose=0)
    first, second = model.rows[: len(labels)], model.rows[len(labels) :]
    assert len(set(first)) == len(labels)
    assert sorted(first) == sorted(second) and first != second


def test_the_test_command_is_the_one_that_ci_runs():
    (command,) = [code.strip() for code in SHELL if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_every_link_within_the_page_and_the_project_leads_somewhere():
    headings = re.findall(r"(?m)^#+ (.*)$", README)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target
