"""The script from end to end, as a reader runs it: options, faults and figures."""

import os
import re
import signal
from collections import defaultdict
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

PNG = b"\x89PNG"
EVALUATING = "[INFO] evaluating network..."
ALLOCATOR = "TF_CPU_ALLOCATOR_USE_BFC"


def test_with_all_options_the_report_is_that_of_the_saved_model(pair, tmp_path):
    options = (
        "--train-csv train.csv --test-csv test.csv --epochs 2 --batch-size 8"
        " --plot curves.png --model model.keras --backup run.weights.h5 --seed 1"
    )
    output = run_python(tmp_path, ROOT / "train.py", *options.split())
    model = keras.models.load_model(tmp_path / "model.keras")
    _, labels, images = zip(*read_rows(pair[1]))
    probabilities = model.predict(np.array(images, "float32"), verbose=0)
    names = (tmp_path / "model.classes.txt").read_text().splitlines()
    predicted = np.array(names)[probabilities.argmax(axis=1)]
    wanted = classification_report(labels, predicted, zero_division=0)
    assert output.endswith(wanted + "\n")
    assert "5/5" in output.split("[INFO] training w/ generator...")[1]  # 40 // 8 steps
    assert "3/3" in output.split(EVALUATING)[1]  # ceil(21 / 8)
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    left = {path.name for path in tmp_path.iterdir()} - {"train.csv", "test.csv"}
    assert left == {"curves.png", "model.keras", "model.classes.txt"}


def tiny_network(width, height, depth, classes):
    """Stands in for MiniVGGNet.build where any network will do."""
    layers = keras.layers
    small = [layers.AveragePooling2D(16), layers.Flatten(), layers.BatchNormalization()]
    dense = layers.Dense(classes, "softmax")
    return keras.Sequential([keras.Input((height, width, depth)), *small, dense])


@pytest.fixture
def run(call_main, capsys, monkeypatch, pair):
    """A function that trains a tiny network on the pair; returns what it printed."""
    monkeypatch.setattr(train.MiniVGGNet, "build", tiny_network)

    def run_with(options):
        call_main(train, *["-t", "train.csv", "-v", "test.csv"], *options.split())
        return capsys.readouterr().out

    return run_with


# Two classes and no remainder; one row, and fewer rows than a batch.
@pytest.mark.parametrize(("train_rows", "test_rows"), [("nyny", "ynyy"), ("ab", "b")])
def test_small_and_even_numbers(run, write_csv, train_rows, test_rows):
    write_csv("train.csv", train_rows)
    write_csv("test.csv", test_rows)
    output = run("-e 1 -b 2" if len(train_rows) == 4 else "-e 1 -b 32")
    assert float(output.split()[-1]) == len(test_rows)  # in the report


def test_the_report_is_of_the_classes_that_occur(run, write_csv, monkeypatch):
    write_csv("train.csv", ["a", "b", "c"] * 2)
    write_csv("test.csv", ["a"] * 4)
    right = np.tile(np.array([[0.8, 0.1, 0.1]], "float32"), (4, 1))
    monkeypatch.setattr(keras.Model, "predict", lambda *args, **options: right)
    wanted = classification_report(["a"] * 4, ["a"] * 4)
    assert run("-e 1 -b 2").endswith(wanted + "\n")


@pytest.mark.parametrize(("users", "wanted"), [(None, "true"), ("false", "false")])
def test_tensorflows_allocator_is_the_default(run, monkeypatch, users, wanted):
    monkeypatch.setenv(ALLOCATOR, users or "")
    if not users:
        monkeypatch.delenv(ALLOCATOR)
    run("-e 1 -b 20")
    assert os.environ[ALLOCATOR] == wanted


def before_the_report(monkeypatch, accident):
    """Make an accident happen once training has ended."""
    predict = keras.Model.predict
    change = lambda *args, **options: (accident(), predict(*args, **options))[1]
    monkeypatch.setattr(keras.Model, "predict", change)


def in_epoch_2(monkeypatch, accident):
    """Make an accident happen, to the model, at the beginning of epoch 2."""
    fit = keras.Model.fit

    def fit_with_accident(model, *args, callbacks, **options):
        first = at_epoch(2, lambda: accident(model))
        return fit(model, *args, callbacks=[first, *callbacks], **options)

    monkeypatch.setattr(keras.Model, "fit", fit_with_accident)


ALL = "-b 8 -m m.keras --backup b.weights.h5 -e"
MADE = {"m.keras", "m.classes.txt", "plot.png", "b.weights.h5"}


def made(folder):
    """Return the names of a run's files."""
    return {path.name for path in folder.iterdir()} & MADE


def test_a_run_killed_while_evaluating_reports(run, monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as context, pytest.raises(GeneratorExit):
        before_the_report(context, Mock(side_effect=GeneratorExit))  # no Exception
        run(f"{ALL} 2")
    assert "Epoch 2/2" in capsys.readouterr().out
    assert keras.models.load_model(tmp_path / "m.keras").count_params() > 0
    assert made(tmp_path) == MADE - {"plot.png"}

    output = run(f"{ALL} 2")
    resumed = "[INFO] resuming after epoch 2; delete b.weights.h5 to start over\n"
    assert f"{resumed}[INFO] that was the last epoch: nothing left to train," in output
    assert "Epoch" not in output and "rose" in output.split(EVALUATING)[1]
    assert made(tmp_path) == {"m.keras", "m.classes.txt"}
    # The same command trains anew: nothing reports an old network on new CSVs.
    assert "Epoch 1/2" in run(f"{ALL} 2")


@pytest.fixture
def run_to_an_error(run, capsys):
    """A function that runs to an error; returns it, what was printed, and warnings."""

    def run_with(options):
        with pytest.raises(SystemExit) as stop:
            run(options)
        output, errors = capsys.readouterr()
        warnings = [line for line in errors.splitlines() if "[WARNING]" in line]
        return str(stop.value), output, warnings

    return run_with


def test_outputs_that_fail_cost_no_other_output(run_to_an_error, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    in_epoch_2(monkeypatch, lambda model: (tmp_path / "gone").rmdir())
    options = "-e 2 -b 20 -p gone/x.png -m gone/x.keras --backup b.weights.h5"
    error, output, warnings = run_to_an_error(options)
    reason = "No such file or directory"
    assert error == f"[ERROR] {tmp_path / 'gone' / 'x.classes.txt'}: {reason}"
    assert f"[WARNING] {tmp_path / 'gone' / 'x.png'}: {reason}" in warnings
    assert "rose" in output.split(EVALUATING)[1]
    assert (tmp_path / "b.weights.h5").exists()


def test_a_loss_of_nan_ends_the_run(run_to_an_error, monkeypatch, tmp_path):
    in_epoch_2(monkeypatch, lambda model: model.layers[-1].bias.assign([np.nan] * 3))
    error, output, _ = run_to_an_error(f"{ALL} 3")
    assert error.startswith("[ERROR] the loss is nan after epoch 2; lower the learning")
    assert "Epoch 3/3" not in output and EVALUATING not in output
    assert made(tmp_path) == {"plot.png", "b.weights.h5"}


SAME = "test.csv: its labels changed during the run; start it again"
BAD = "line 41 ('rose,1,2'): 2 values instead of 12,288 for the shape (64, 64, 3)"
ORCHID = "'orchid' is not a label that lb knows"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("test.csv", lambda rows: rows[5:], SAME),
        ("test.csv", lambda rows: rows * 2, SAME),
        ("test.csv", lambda rows: rows[::-1], SAME),
        ("test.csv", lambda rows: ["orchid" + rows[0][4:]], ORCHID),
        ("train.csv", lambda rows: [*rows, "rose,1,2\n"], BAD),
        ("train.csv", lambda rows: [f"orchid{row[4:]}" for row in rows], ORCHID),
        ("train.csv", None, "train.csv: no such file in "),
        ("test.csv", None, "test.csv: no such file in "),
    ],
)
def test_a_file_that_changes_is_one_line_and_no_report(
    run_to_an_error, monkeypatch, tmp_path, name, change, message
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
    error, output, _ = run_to_an_error(f"{ALL} {12 if training else 1}")
    assert error.startswith(f"[ERROR] {name}") and message in error
    assert len(error.splitlines()) == 1
    assert "weighted avg" not in output and (EVALUATING in output) is not training
    assert made(tmp_path) == (MADE - {"m.keras", "m.classes.txt"} if training else MADE)


def test_a_backup_that_another_run_deleted_costs_nothing(run, monkeypatch, tmp_path):
    before_the_report(monkeypatch, (tmp_path / "b.weights.h5").unlink)
    run("-e 1 -b 20 --backup b.weights.h5")
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


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
    train.save_plot(RESUMED, tmp_path / "usual.png")
    (tmp_path / "matplotlibrc").write_text(
        "backend: TkAgg\nlines.linewidth: 9\npath.sketch: 1, 100, 2\nsavefig.dpi: 600\n"
        "savefig.transparent: True\ntext.usetex: True\n"
    )
    with matplotlib.rc_context(fname=tmp_path / "matplotlibrc"):
        assert matplotlib.rcParams["text.usetex"]
        train.save_plot(RESUMED, tmp_path / "users.png")
    usual = (tmp_path / "usual.png").read_bytes()
    assert (tmp_path / "users.png").read_bytes() == usual


def wait_for(process, text):
    """Read what the process prints until `text` appears; return it."""
    output = ""
    while text not in output:
        line = process.stdout.read(1)
        assert line, output + process.stderr.read()
        output += line
    return output


@pytest.fixture
def start(tmp_path):
    """A function that starts a run without end, with a backup and a model to save."""
    make_pair(tmp_path, 15, 5)
    options = "-t train.csv -v test.csv -b 3 -e 5000 -m m.keras --backup b.weights.h5"
    command, processes = [ROOT / "train.py", *options.split()], []
    yield lambda: processes.append(start_python(tmp_path, *command)) or processes[-1]
    for process in processes:
        process.kill()
        process.communicate()


@needs_unix
def test_kill_9_resumes_and_ctrl_c_finishes_the_epoch(start, tmp_path):
    process = start()
    wait_for(process, "Epoch 3/5000")
    process.kill()
    process.wait()

    process = start()
    output = wait_for(process, "/5000") + wait_for(process, "/5000")
    resumed = int(re.search(r"\[INFO\] resuming after epoch (\d+);", output)[1])
    assert resumed >= 2
    epochs = [int(epoch) for epoch in re.findall(r"Epoch (\d+)/5000", output)]
    assert epochs == [resumed + 1, resumed + 2]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "[INFO] finishing this epoch" in errors and "Traceback" not in errors
    assert "rose" in output.split(EVALUATING)[1]
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)
    model = keras.models.load_model(tmp_path / "m.keras")
    finished, rest = divmod(int(model.optimizer.iterations), 5)
    assert finished >= resumed + 2 and rest == 0
    # The backup stays: the same command resumes.
    backup = train.build_model(3, epochs=1)
    assert load_backup(backup, tmp_path / "b.weights.h5", 5, 5000) == finished


def test_importing_the_script_changes_nothing(tmp_path):
    code = """if True:
        import os, sys
        before = dict(os.environ)
        import matplotlib, train
        assert matplotlib.get_backend(auto_select=False) is None  # not chosen yet
        assert "TF_CPU_ALLOCATOR_USE_BFC" not in os.environ.keys() - before.keys()
        assert "pyimagesearch.datasets" not in sys.modules
    """
    assert run_python(tmp_path, "-c", code) == ""
    assert list(tmp_path.iterdir()) == []
