"""The script from end to end, as a reader runs it: options, faults and figures."""

import os
import re
import signal

import numpy as np
import pytest
from conftest import ROOT, make_pair, start_python
from matplotlib.figure import Figure
from sklearn.metrics import classification_report
from tensorflow import keras

import train
from pyimagesearch.callbacks import load_backup
from pyimagesearch.csv_rows import read_rows

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a run was told all options, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    make_pair(folder)
    options = (
        "--train-csv train.csv --test-csv test.csv --epochs 2 --batch-size 8"
        " --plot curves.png --model model.keras --backup run.weights.h5 --seed 1"
    )
    process = start_python(folder, ROOT / "train.py", *options.split())
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder, output


def test_the_report_is_that_of_the_saved_model(finished):
    folder, output = finished
    model = keras.models.load_model(folder / "model.keras")
    _, labels, images = zip(*read_rows(folder / "test.csv"))
    probabilities = model.predict(np.array(images, "float32"), verbose=0)
    predicted = np.array(["iris", "lily", "rose"])[probabilities.argmax(axis=1)]
    wanted = classification_report(labels, predicted, zero_division=0)
    assert output.endswith(wanted + "\n")
    assert "5/5" in output.split("[INFO] training w/ generator...")[1]  # 40 // 8 steps
    assert "3/3" in output.split("[INFO] evaluating network...")[1]  # ceil(21 / 8)


def test_it_leaves_what_was_asked_for_and_nothing_else(finished):
    folder, _ = finished
    assert (folder / "curves.png").read_bytes().startswith(PNG)
    names = {path.name for path in folder.iterdir()} - {"train.csv", "test.csv"}
    assert names == {"curves.png", "model.keras", "model.classes.txt"}
    assert (folder / "model.classes.txt").read_text() == "iris\nlily\nrose\n"


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


@pytest.mark.parametrize(
    ("train_labels", "test_labels", "batch_size"),
    [
        ("no yes no yes", "yes no yes yes", 2),  # two classes, and no remainder
        ("a b", "b", 32),  # fewer rows than a batch, one row, a class that is missing
    ],
)
def test_small_and_even_numbers_of_rows(
    run, write_csv, tmp_path, train_labels, test_labels, batch_size
):
    write_csv("train.csv", train_labels.split())
    write_csv("test.csv", test_labels.split())
    output = run(f"-e 1 -b {batch_size}")
    rows = len(test_labels.split())
    assert re.search(rf"weighted avg .* {rows}(\.0)?\n", output)
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def test_the_report_is_of_the_classes_that_occur(run, write_csv, monkeypatch):
    write_csv("train.csv", ["a", "b", "c"] * 2)
    write_csv("test.csv", ["a"] * 4)
    right = np.tile(np.array([[0.8, 0.1, 0.1]], "float32"), (4, 1))
    monkeypatch.setattr(keras.Model, "predict", lambda *args, **options: right)
    averages = re.search(r"macro avg +(\S+) +(\S+) +(\S+)", run("-e 1 -b 2"))
    assert averages.groups() == ("1.00", "1.00", "1.00")


@pytest.mark.parametrize(("users", "wanted"), [(None, "true"), ("false", "false")])
def test_tensorflows_allocator_is_used_unless_the_user_said_no(
    run, monkeypatch, users, wanted
):
    monkeypatch.setenv("TF_CPU_ALLOCATOR_USE_BFC", "")  # so that it is restored
    monkeypatch.delenv("TF_CPU_ALLOCATOR_USE_BFC")
    if users:
        monkeypatch.setenv("TF_CPU_ALLOCATOR_USE_BFC", users)
    run("-e 1 -b 20")
    assert os.environ["TF_CPU_ALLOCATOR_USE_BFC"] == wanted


def test_a_run_that_was_killed_while_it_evaluated_reports_next_time(
    run, monkeypatch, tmp_path, capsys
):
    options = "-e 2 -b 8 -m m.keras --backup b.weights.h5"
    with monkeypatch.context() as context:
        context.setattr(keras.Model, "predict", None)
        with pytest.raises(TypeError):
            run(options)
    assert "Epoch 2/2" in capsys.readouterr().out
    # Model and plot were saved before the evaluation.
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)
    assert keras.models.load_model(tmp_path / "m.keras").count_params() > 0
    assert (tmp_path / "b.weights.h5").exists()

    (tmp_path / "plot.png").unlink()
    output = run(options)
    assert "Epoch" not in output and "weighted avg" in output
    assert "[INFO] that was the last epoch: nothing left to train, or to plot" in output
    assert not (tmp_path / "plot.png").exists()
    assert not (tmp_path / "b.weights.h5").exists()
    # The same command trains anew: nothing reports an old network on new CSVs.
    assert "Epoch 1/2" in run(options)


def test_the_plot_shows_whole_epochs_and_hides_no_curve(run, monkeypatch):
    figure = Figure(figsize=(8, 8), layout="constrained")
    monkeypatch.setattr(train, "Figure", lambda **options: figure)
    run("-e 2 -b 20")
    loss, accuracy = figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        labels = [line.get_label() for line in axes.lines]
        assert labels == [f"train_{name}", f"val_{name}"]
        assert [tick for tick in axes.get_xticks() if 1 <= tick <= 2] == [1, 2]
        box = axes.get_legend().get_window_extent()
        for line in axes.lines:
            assert list(line.get_xdata()) == [1, 2]
            ends = axes.transData.transform(line.get_xydata())
            assert not any(box.contains(*point) for point in np.linspace(*ends, 50))
    assert loss.get_yscale() == "log" and accuracy.get_ylim() == (0, 1)
    texts = [loss.get_title(), loss.get_ylabel(), accuracy.get_ylabel()]
    assert texts == ["Training Loss and Accuracy on Dataset", "Loss", "Accuracy"]
    assert accuracy.get_xlabel() == "Epoch #"


def wait_for(process, text):
    """Read what the process prints until `text` appears; return it."""
    output = ""
    while text not in output:
        line = process.stdout.read(1)
        assert line, output + process.stderr.read()
        output += line
    return output


@pytest.fixture
def start_endless(tmp_path):
    """A function that starts a run without end, with a backup and a model to save."""
    make_pair(tmp_path, 15, 5)
    options = "-t train.csv -v test.csv -b 3 -e 5000 -m m.keras --backup b.weights.h5"
    processes = []

    def start():
        processes.append(start_python(tmp_path, ROOT / "train.py", *options.split()))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_kill_9_resumes_and_ctrl_c_finishes_the_epoch(start_endless, tmp_path):
    process = start_endless()
    wait_for(process, "Epoch 3/5000")
    process.kill()
    process.wait()

    process = start_endless()
    output = wait_for(process, "Epoch 4/5000")
    assert "[INFO] resuming after epoch 2;" in output
    assert re.findall(r"Epoch (\d+)/5000", output) == ["3", "4"]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "[INFO] finishing this epoch; press Ctrl-C again to quit now" in errors
    assert "Traceback" not in errors
    assert "weighted avg" in output
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)
    model = keras.models.load_model(tmp_path / "m.keras")
    finished, rest = divmod(int(model.optimizer.iterations), 5)
    assert finished >= 4 and rest == 0
    # The backup stays: the same command resumes.
    backup = train.build_model(3, epochs=1)
    assert load_backup(backup, tmp_path / "b.weights.h5", 5, 5000) == finished


def test_importing_the_script_changes_nothing(tmp_path):
    code = """if True:
        import os, sys
        before = dict(os.environ)
        import train
        import matplotlib
        assert matplotlib.get_backend(auto_select=False) is None  # not chosen yet
        assert "TF_CPU_ALLOCATOR_USE_BFC" not in os.environ.keys() - before.keys()
        assert "pyimagesearch.datasets" not in sys.modules
    """
    process = start_python(tmp_path, "-c", code)
    assert process.communicate()[0] == "" and process.returncode == 0
    assert list(tmp_path.iterdir()) == []
