"""Small CSVs of made-up images, and ways to run a script on them."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# A job in the background of a shell ignores Ctrl-C, and so does all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test touches the reader's own ~/.keras; train.py asks for this allocator, too.
KERAS_HOME = tempfile.TemporaryDirectory()
os.environ |= {"KERAS_HOME": KERAS_HOME.name, "TF_CPU_ALLOCATOR_USE_BFC": "true"}

import hypothesis
import numpy as np
import pytest
from PIL import Image
from tensorflow import keras

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pyimagesearch.csv_rows import InputError

# The same examples each time, and none is too slow, on a busy machine either.
hypothesis.settings.load_profile("ci")

# Windows ends a process that is sent a signal, and links only for administrators.
needs_unix = pytest.mark.skipif(os.name == "nt", reason="signals and links of Unix")


def make_rows(labels, seed=0, shape=(64, 64, 3)):
    """Return (label, uint8 image) pairs: noise around a colour of the label's own."""
    rng = np.random.default_rng(seed)
    colours = {label: rng.integers(40, 216, shape[-1]) for label in sorted(set(labels))}
    noise = [rng.integers(-40, 40, shape) for _ in labels]
    return [(a, (colours[a] + b).astype("uint8")) for a, b in zip(labels, noise)]


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

    def write(name, labels):
        (tmp_path / name).write_bytes(cached_csv(tuple(labels), 0))
        return tmp_path / name

    return write


def make_pair(folder, *rows):
    """Write train.csv and test.csv, of three classes, to a folder; return the paths."""
    paths = folder / "train.csv", folder / "test.csv"
    for seed, (path, count) in enumerate(zip(paths, rows, strict=True)):
        labels = ("rose", "iris", "lily", "rose") * 10
        path.write_bytes(cached_csv(labels[:count], seed))
    return paths


@pytest.fixture
def pair(tmp_path):
    """A training CSV of 40 rows and a testing CSV of 21, of three classes."""
    return make_pair(tmp_path, 40, 21)


def start_python(folder, *args, project=ROOT):
    """Start Python in `folder`, with a project in reach."""
    env = os.environ | {"PYTHONPATH": str(project), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-u", *map(str, args)]
    return subprocess.Popen(command, cwd=folder, env=env, **pipes)


def run_python(folder, *args, project=ROOT):
    """Run Python in `folder` to its end, without an error; return what it printed."""
    process = start_python(folder, *args, project=project)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


def save_image(path, colour=(1, 2, 3), size=(80, 60), mode="RGB"):
    """Save a picture in one colour, the upper half of it at half the brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.array(colour, "uint8"), (size[1], size[0], 1))
    pixels[: size[1] // 2] //= 2
    image = Image.fromarray(pixels)
    (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    return path


def error_of(function, *args, **options):
    """Return what a call's InputError says, which must be one line."""
    with pytest.raises(InputError) as error:
        function(*args, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def run_alone(folder, code):
    """Run code in a folder with two modules, and none of the packages named below."""
    for name in ("csv_rows.py", "check_generator.py"):
        shutil.copy(ROOT / "pyimagesearch" / name, folder)
    names = ["tensorflow", "keras", "sklearn", "matplotlib", "scipy", "pyimagesearch"]
    code = f"import sys\nsys.modules |= dict.fromkeys({names})\n{code}"  # can't import
    subprocess.run([sys.executable, "-Es", "-c", code], cwd=folder, check=True)


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
    """A function that runs a main() whose error must be one line and change no file."""
    now = lambda: {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}

    def run(module, *args):
        before = now()
        with pytest.raises(SystemExit) as stop:
            call_main(module, *args)
        assert now() == before
        code = stop.value.code  # a text, which Python prints, or argparse's 2
        message = capsys.readouterr().err if code == 2 else code
        assert len(message.splitlines()) == 1
        return message

    return run


def at_epoch(epoch, action):
    """Return a callback that calls an action at the beginning of an epoch, from 1."""
    act = lambda number, logs: action() if number + 1 == epoch else None
    return keras.callbacks.LambdaCallback(on_epoch_begin=act)


class Recorder(keras.Model):
    """Learns nothing; records the batches of each epoch and of each validation."""

    def fit(self, *args, **options):
        self.trained, self.tested = [], []
        new_lists = keras.callbacks.Callback()
        new_lists.on_epoch_begin = lambda *_: self.trained.append([])
        new_lists.on_test_begin = lambda *_: self.tested.append([])
        self.compile(loss="mse", run_eagerly=True)
        super().fit(*args, callbacks=[new_lists], verbose=0, **options)

    def train_step(self, data):
        self.trained[-1].append(data[0].numpy())
        return {"loss": 0.0}

    def test_step(self, data):
        self.tested[-1].append(data[0].numpy())
        return {"loss": 0.0}

    def predict_step(self, data):
        return data[1]
