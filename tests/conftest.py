"""Small CSVs of made-up images, and two ways to run a script on them."""

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
os.environ["KERAS_HOME"] = tempfile.mkdtemp()

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


def make_rows(labels, seed=0):
    """Return a list of (label, uint8 image) with noise in a colour of each label's own."""
    rng = np.random.default_rng(seed)
    colours = {label: rng.integers(40, 216, 3) for label in sorted(set(labels))}
    return [
        (label, (colours[label] + rng.integers(-40, 40, (64, 64, 3))).astype("uint8"))
        for label in labels
    ]


def csv_bytes(rows, end="\n"):
    """Return rows as the text of a CSV, in bytes."""
    lines = [",".join([label, *map(str, image.ravel())]) for label, image in rows]
    return "".join(line + end for line in lines).encode()


@pytest.fixture
def write_csv(tmp_path):
    """A function that writes labels, with images made up for them, to a CSV."""

    def write(name, labels, seed=0):
        path = tmp_path / name
        path.write_bytes(csv_bytes(make_rows(labels, seed)))
        return path

    return write


@pytest.fixture(scope="session")
def make_pair():
    """A function that writes train.csv and test.csv, of three classes, to a folder."""

    def make(folder, train_rows=40, test_rows=21):
        for name, rows, seed in (("train", train_rows, 0), ("test", test_rows, 1)):
            labels = [("rose", "iris", "lily", "rose")[k % 4] for k in range(rows)]
            (folder / f"{name}.csv").write_bytes(csv_bytes(make_rows(labels, seed)))
        return folder / "train.csv", folder / "test.csv"

    return make


@pytest.fixture
def pair(make_pair, tmp_path):
    """A training CSV of 40 rows and a testing CSV of 21, of three classes."""
    return make_pair(tmp_path)


def start_script(folder, *args):
    """Start train.py in `folder` as a reader would; return the running process."""
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py"), *map(str, args)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def fail(monkeypatch, capsys, tmp_path):
    """A function that runs a module's main() and returns its one-line error.

    It checks what holds for every error that a user can cause: an exit code of 1
    or 2, one line, and no file in the folder that is new, changed or gone.
    """

    def state():
        paths = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    def run(module, *args):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [module.__file__, *map(str, args)])
        before = state()
        with pytest.raises(SystemExit) as stop:
            module.main()
        assert state() == before
        if isinstance(stop.value.code, str):
            message = stop.value.code  # which Python prints, exiting with 1
        else:
            assert stop.value.code == 2
            message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        return message

    return run
