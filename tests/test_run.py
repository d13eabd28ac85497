"""The script from end to end, as a reader runs it: options, faults and figures."""

import os
import re
import signal
from collections import defaultdict
from contextlib import nullcontext
from itertools import takewhile
from types import SimpleNamespace
from unittest.mock import Mock

import matplotlib
import numpy as np
import pytest
from conftest import ROOT, at_epoch, make_pair, needs_unix, run_python, start_python
from matplotlib.figure import Figure
from sklearn.metrics import classification_report
from tensorflow import keras

import train
from pyimagesearch.callbacks import load_backup
from pyimagesearch.csv_rows import read_rows

EVALUATING = "[INFO] evaluating network..."
ALLOCATOR = "TF_CPU_ALLOCATOR_USE_BFC"


def tiny_network(width, height, depth, classes):
    """Stands in for MiniVGGNet.build; learns colours in a few updates."""
    layers, inputs = keras.layers, keras.Input((height, width, depth))
    pixels = [layers.AveragePooling2D(16), layers.Rescaling(1 / 64, -2)]
    dense = layers.Dense(classes, "softmax")
    return keras.Sequential([inputs, *pixels, layers.Flatten(), dense])


ALL = "-b 8 -m m.keras --backup b.weights.h5 -e"
MADE = {"m.keras", "m.classes.txt", "plot.png", "b.weights.h5"}


def made(folder):
    """Return the names of what a run has written."""
    return {path.name for path in folder.iterdir()} - {"train.csv", "test.csv"}


@pytest.fixture
def run(call_main, capsys, monkeypatch, pair):
    """A function that trains a tiny network on the pair, to its end or this error."""
    monkeypatch.setattr(train.MiniVGGNet, "build", tiny_network)

    def run_with(options, error=None):
        files = ["--train-csv", "train.csv", "--test-csv", "test.csv"]
        with pytest.raises(SystemExit, match=error) if error else nullcontext():
            call_main(train, *files, *options.split())
        return capsys.readouterr()

    return run_with


def test_the_report_is_that_of_the_saved_model(run, tmp_path, write_csv):
    path = write_csv("test.csv", ["rose", "iris", "lily"] * 7)  # in train.csv's colours
    files = "--plot curves.png --model model.keras --backup run.weights.h5"
    output = run(f"--epochs 4 --batch-size 8 {files}").out
    model = keras.models.load_model(tmp_path / "model.keras")
    _, labels, images = zip(*read_rows(path))
    probabilities = model.predict(np.array(images, "float32"), verbose=0)
    names = (tmp_path / "model.classes.txt").read_text().splitlines()
    predicted = np.array(names)[probabilities.argmax(axis=1)]
    wanted = classification_report(labels, predicted, zero_division=0)
    assert output.endswith(wanted + "\n")
    assert "5/5" in output.split("[INFO] training w/ generator...")[1]  # 40 // 8 steps
    assert "3/3" in output.split(EVALUATING)[1]  # ceil(21 / 8)
    assert made(tmp_path) == {"curves.png", "model.keras", "model.classes.txt"}


# Two classes and no remainder; one row, and fewer rows than a batch.
@pytest.mark.parametrize(("train_rows", "test_rows"), [("nyny", "ynyy"), ("ab", "b")])
def test_small_and_even_numbers(run, write_csv, train_rows, test_rows):
    write_csv("train.csv", train_rows)
    write_csv("test.csv", test_rows)
    output = run("-e 1 -b 2" if len(train_rows) == 4 else "-e 1 -b 32").out
    assert float(output.split()[-1]) == len(test_rows)  # in the report


def test_the_report_is_of_the_classes_that_occur(run, write_csv, monkeypatch):
    write_csv("train.csv", ["a", "b", "c"] * 2)
    write_csv("test.csv", ["a"] * 4)
    right = np.tile(np.array([[0.8, 0.1, 0.1]], "float32"), (4, 1))
    monkeypatch.setattr(keras.Model, "predict", lambda *args, **options: right)
    wanted = classification_report(["a"] * 4, ["a"] * 4)
    assert run("-e 1 -b 2").out.endswith(wanted + "\n")


@pytest.mark.parametrize("users", [{}, {ALLOCATOR: "false"}])
def test_tensorflows_allocator_is_the_default(fail, monkeypatch, users):
    monkeypatch.setattr(os, "environ", found := {**users})
    fail(train)  # there is no CSV here
    assert found == {ALLOCATOR: "true"} | users


def before_the_report(monkeypatch, accident):
    """Make an accident happen once training has ended."""
    predict = keras.Model.predict
    change = lambda *args, **options: (accident(), predict(*args, **options))[1]
    monkeypatch.setattr(keras.Model, "predict", change)


def in_epoch_2(monkeypatch, accident):
    """Make an accident happen, to the model, at the beginning of epoch 2."""
    callback = at_epoch(2, lambda: accident(callback.model))
    monkeypatch.setattr(train, "StopOnCtrlC", lambda: callback)


def test_a_run_killed_while_evaluating_reports(run, monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as context, pytest.raises(GeneratorExit):
        before_the_report(context, Mock(side_effect=GeneratorExit))  # no Exception
        run(f"{ALL} 2")
    assert "Epoch 2/2" in capsys.readouterr().out
    assert made(tmp_path) == MADE - {"plot.png"}

    output = run(f"{ALL} 2").out
    resumed = "[INFO] resuming after epoch 2; delete b.weights.h5 to start over\n"
    assert f"{resumed}[INFO] that was the last epoch: nothing left to train," in output
    assert "Epoch" not in output and "rose" in output.split(EVALUATING)[1]
    assert made(tmp_path) == {"m.keras", "m.classes.txt"}
    # The same command trains anew: nothing reports an old network on new CSVs.
    assert "Epoch 1/2" in run(f"{ALL} 2").out


def test_each_output_is_tried_though_others_fail(run, monkeypatch, tmp_path):
    (gone := tmp_path / "gone").mkdir()
    in_epoch_2(monkeypatch, lambda model: gone.rmdir())
    before_the_report(monkeypatch, Mock(side_effect=KeyError("odd")))
    options = "-e 2 -b 20 -p gone/x.png -m gone/x.keras --backup b.weights.h5"
    reason = "No such file or directory"
    error = f"^.ERROR. {re.escape(str(gone / 'x.classes.txt'))}: {reason}$"
    errors = run(options, error).err
    warnings = f"[WARNING] KeyError('odd')\n[WARNING] {gone / 'x.png'}: {reason}\n"
    assert warnings in errors
    assert (tmp_path / "b.weights.h5").exists()


def test_a_loss_of_nan_ends_the_run(run, monkeypatch, tmp_path):
    in_epoch_2(monkeypatch, lambda model: model.layers[-1].bias.assign([np.nan] * 3))
    output = run(f"{ALL} 3", "^.ERROR. the loss is nan after epoch 2; lower the").out
    assert "Epoch 3/3" not in output and EVALUATING not in output
    assert made(tmp_path) == {"plot.png", "b.weights.h5"}
    assert load_backup(train.build_model(3, 3), tmp_path / "b.weights.h5", 5, 3) == 1


@needs_unix
def test_ctrl_c_during_a_backup_ends_that_epoch(run, monkeypatch):
    save = train.Backup.on_epoch_end
    press = lambda self, epoch, logs: (
        save(self, epoch, logs) or epoch or signal.raise_signal(signal.SIGINT)
    )
    monkeypatch.setattr(train.Backup, "on_epoch_end", press)
    assert "Epoch 2/3" not in run("-e 3 -b 20 --backup b.weights.h5").out


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("test.csv", lambda rows: rows * 2, "its labels changed during the run; start"),
        ("test.csv", lambda rows: rows[::-1], "its labels changed during the run"),
        ("test.csv", lambda rows: ["x" + rows[0]], "line 1 .*: 'xrose' is not a label"),
        ("train.csv", lambda rows: [*rows, "rose,1,2\n"], "line 41 .*: 2 values"),
        ("train.csv", None, "no such file in "),
    ],
)
def test_a_file_that_changes_is_one_line_and_no_report(
    run, monkeypatch, tmp_path, name, change, message
):
    def accident(model=None):
        rows = (tmp_path / name).read_text().splitlines(keepends=True)
        if change:
            (tmp_path / "new.csv").write_text("".join(change(rows)))
            (tmp_path / "new.csv").replace(tmp_path / name)
        else:
            (tmp_path / name).unlink()

    training = name == "train.csv"
    (in_epoch_2 if training else before_the_report)(monkeypatch, accident)
    # Keras reads up to 16 batches ahead, of 5 per epoch.
    epochs, error = 12 if training else 1, f"^.ERROR. {name}[:,] {message}.*$"
    output = run(f"{ALL} {epochs}", error).out
    assert "weighted avg" not in output and (EVALUATING in output) is not training
    assert made(tmp_path) == (MADE - {"m.keras", "m.classes.txt"} if training else MADE)


def test_a_backup_that_another_run_deleted_costs_nothing(run, monkeypatch, tmp_path):
    before_the_report(monkeypatch, (tmp_path / "b.weights.h5").unlink)
    run("-e 1 -b 20 --backup b.weights.h5")


RESUMED = SimpleNamespace(epoch=[2, 3, 4], history=defaultdict(lambda: [90, 0.5, 0.1]))


def test_the_plot_shows_whole_epochs(monkeypatch, tmp_path):
    figure = Figure(figsize=(8, 8), layout="constrained")
    monkeypatch.setattr(train, "Figure", lambda **options: figure)
    train.save_plot(RESUMED, tmp_path / "plot.png")
    loss, accuracy = figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [f"train_{name}", f"val_{name}"]
        assert [tick for tick in axes.get_xticks() if 3 <= tick <= 5] == [3, 4, 5]
        assert [list(line.get_xdata()) for line in axes.lines] == [[3, 4, 5]] * 2
    assert loss.get_yscale() == "log" and accuracy.get_ylim() == (0, 1)
    assert loss.get_title() == "Training Loss and Accuracy on Dataset"
    labels = [loss.get_ylabel(), accuracy.get_ylabel(), accuracy.get_xlabel()]
    assert labels == ["Loss", "Accuracy", "Epoch #"]


def test_a_matplotlibrc_changes_no_byte_of_the_plot(tmp_path):
    users = {"lines.linewidth": 9, "path.sketch": (1, 100, 2), "savefig.dpi": 600}
    for name, settings in (("usual", {}), ("users", users | {"text.usetex": True})):
        with matplotlib.rc_context(settings):
            train.save_plot(RESUMED, tmp_path / f"{name}.png")
    usual = (tmp_path / "usual.png").read_bytes()
    assert (tmp_path / "users.png").read_bytes() == usual


@needs_unix
def test_kill_9_resumes_and_ctrl_c_finishes_the_epoch(tmp_path):
    options = "-t train.csv -v test.csv -b 3 -e 5000 -m m.keras --backup b.weights.h5"

    def start(until):
        process = start_python(tmp_path, ROOT / "train.py", *options.split())
        return process, [*takewhile(lambda line: until not in line, process.stdout)]

    make_pair(tmp_path, 15, 5)
    process, _ = start(until="Epoch 3/5000")
    process.kill()
    process.communicate()

    process, lines = start(until="Epoch")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "[INFO] finishing this epoch" in errors and "Traceback" not in errors
    assert "rose" in output.split(EVALUATING)[1]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    resumed = int(re.search(r"resuming after epoch (\d+);", "".join(lines))[1])
    model = keras.models.load_model(tmp_path / "m.keras")
    finished, rest = divmod(int(model.optimizer.iterations), 5)
    assert finished > resumed >= 2 and rest == 0
    # The backup stays: the same command resumes.
    backup = train.build_model(3, epochs=1)
    assert load_backup(backup, tmp_path / "b.weights.h5", 5, 5000) == finished


def test_importing_the_script_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv(ALLOCATOR, raising=False)  # which runs above have set
    code = """if True:
        import os, sys, matplotlib, train
        assert matplotlib.get_backend(auto_select=False) is None  # not chosen yet
        assert "TF_CPU_ALLOCATOR_USE_BFC" not in os.environ
        assert "pyimagesearch.datasets" not in sys.modules
    """
    assert run_python(tmp_path, "-c", code) == ""
    assert list(tmp_path.iterdir()) == []
