"""Small CSVs of made-up images, and ways to run a script on them."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# A shell that runs the tests in the background makes them, and all that they start,
# ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests of the download must not touch the reader's own ~/.keras.
KERAS_HOME = tempfile.TemporaryDirectory()
os.environ["KERAS_HOME"] = KERAS_HOME.name

import numpy as np
import pytest
from tensorflow import keras

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


def make_rows(labels, seed=0, shape=(64, 64, 3)):
    """Return (label, uint8 image) pairs: noise around a colour of the label's own."""
    rng = np.random.default_rng(seed)
    colours = {label: rng.integers(40, 216, shape[-1]) for label in sorted(set(labels))}
    return [
        (label, (colours[label] + rng.integers(-40, 40, shape)).astype("uint8"))
        for label in labels
    ]


def csv_bytes(rows):
    """Return rows as the text of a CSV, in bytes."""
    lines = [",".join([label, *map(str, image.ravel())]) for label, image in rows]
    return "".join(f"{line}\n" for line in lines).encode()


@functools.cache
def cached_csv(labels, seed):
    return csv_bytes(make_rows(labels, seed))


@pytest.fixture
def write_csv(tmp_path):
    """A function that writes labels, with images made up for them, to a CSV."""

    def write(name, labels, seed=0):
        path = tmp_path / name
        path.write_bytes(cached_csv(tuple(labels), seed))
        return path

    return write


def make_pair(folder, train_rows=40, test_rows=21):
    """Write train.csv and test.csv, of three classes, to a folder; return the paths."""
    for name, rows, seed in (("train", train_rows, 0), ("test", test_rows, 1)):
        labels = tuple(("rose", "iris", "lily", "rose")[k % 4] for k in range(rows))
        (folder / f"{name}.csv").write_bytes(cached_csv(labels, seed))
    return folder / "train.csv", folder / "test.csv"


@pytest.fixture
def pair(tmp_path):
    """A training CSV of 40 rows and a testing CSV of 21, of three classes."""
    return make_pair(tmp_path)


def start_python(folder, *args, project=ROOT):
    """Start Python in `folder`, with a project in reach; return the running process."""
    return subprocess.Popen(
        [sys.executable, "-u", *map(str, args)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(project), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def call_main(monkeypatch, tmp_path):
    """A function that runs a module's main() in tmp_path with these arguments."""

    def call(module, *args):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module.__file__, *map(str, args)])
        module.main()

    return call


@pytest.fixture
def fail(call_main, capsys, tmp_path):
    """A function that runs a module's main() and returns its one-line error.

    It checks what holds for every error that a user can cause: an exit code of 1
    or 2, one line, and no file in the folder that is new, changed or gone.
    """

    def state():
        paths = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    def run(module, *args):
        before = state()
        with pytest.raises(SystemExit) as stop:
            call_main(module, *args)
        assert state() == before
        message = stop.value.code  # Python prints a text, and exits with 1
        if message == 2:
            message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        return message

    return run


class Recorder(keras.Model):
    """Learns nothing; records the batches of each epoch and of each validation."""

    def __init__(self):
        super().__init__()
        self.trained, self.tested = [], []
        self.compile(loss="mse", run_eagerly=True)

    def fit(self, *args, **options):
        new_lists = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: self.trained.append([]),
            on_test_begin=lambda logs: self.tested.append([]),
        )
        super().fit(*args, callbacks=[new_lists], verbose=0, **options)

    def train_step(self, data):
        self.trained[-1].append(data[0].numpy())
        return {"loss": 0.0}

    def test_step(self, data):
        self.tested[-1].append(data[0].numpy())
        return {"loss": 0.0}

    def predict_step(self, data):
        return data[1]
