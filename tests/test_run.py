"""The script from end to end, as a reader runs it: options, faults and figures."""

import csv
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, start_script
from sklearn.metrics import classification_report
from tensorflow import keras

import train

PNG = b"\x89PNG"


def figures(output):
    """Return the epoch figures and the report that a run printed, without times."""
    epochs = re.findall(r"(?m)accuracy: \S+ - loss: \S+ - val_accuracy.*$", output)
    return epochs, report(output)


def report(output):
    start = output.rindex("              precision")
    return output[start:]


@pytest.fixture(scope="module")
def seeded(make_pair, tmp_path_factory):
    """A folder in which a run was told all options, and what two such runs printed."""
    folder = tmp_path_factory.mktemp("seeded")
    options = (
        "--train-csv train.csv --test-csv test.csv --epochs 2 --batch-size 8"
        " --plot curves.png --model model.keras --backup run.weights.h5 --seed 1"
    )
    processes = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        make_pair(folder / name)
        processes.append(start_script(folder / name, *options.split()))
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    return folder / "one", [output for output, _ in results]


def test_the_same_seed_prints_the_same_numbers(seeded):
    _, (first, second) = seeded
    epochs, _ = figures(first)
    assert len(epochs) == 2
    assert figures(first) == figures(second)


def test_the_report_is_that_of_the_saved_model(seeded):
    folder, (output, _) = seeded
    model = keras.models.load_model(folder / "model.keras")
    with open(folder / "test.csv", newline="") as csv_file:
        rows = list(csv.reader(csv_file))
    labels = [row[0] for row in rows]
    images = np.array([row[1:] for row in rows], "float32").reshape(-1, 64, 64, 3)
    classes = np.array(["iris", "lily", "rose"])
    predicted = classes[model.predict(images, verbose=0).argmax(axis=1)]
    wanted = classification_report(labels, predicted, zero_division=0)
    assert report(output).strip() == wanted.strip()


def test_the_learning_rate_fell_with_every_update(seeded):
    folder, _ = seeded
    optimizer = keras.models.load_model(folder / "model.keras").optimizer
    updates = 2 * (40 // 8)
    assert int(optimizer.iterations) == updates
    wanted = 0.01 / (1 + updates * 0.01 / 2)
    assert float(optimizer.learning_rate) == pytest.approx(wanted)
    assert optimizer.momentum == 0.9


def test_it_leaves_what_was_asked_for_and_nothing_else(seeded):
    folder, _ = seeded
    assert (folder / "curves.png").read_bytes().startswith(PNG)
    names = {path.name for path in folder.iterdir()}
    assert names == {"train.csv", "test.csv", "curves.png", "model.keras"}


def test_steps_are_as_in_the_tutorial(seeded):
    _, (output, _) = seeded
    assert "[INFO] training w/ generator..." in output
    assert "5/5" in output  # 40 // 8 steps per epoch
    assert "[INFO] evaluating network..." in output
    assert "3/3" in output  # ceil(21 / 8) steps of predict


@pytest.mark.parametrize(
    ("train_labels", "test_labels", "batch_size"),
    [
        ("no yes no yes", "yes no yes yes", 2),  # two classes, and no remainder
        ("a b", "b", 32),  # fewer rows than a batch, one row, a class that is missing
    ],
)
def test_small_and_even_numbers_of_rows(
    tmp_path, write_csv, monkeypatch, capsys, train_labels, test_labels, batch_size
):
    write_csv("train.csv", train_labels.split())
    write_csv("test.csv", test_labels.split())
    monkeypatch.chdir(tmp_path)
    options = f"train.py -t train.csv -v test.csv -e 1 -b {batch_size}"
    monkeypatch.setattr(sys, "argv", options.split())
    train.main()
    output = capsys.readouterr().out
    rows = len(test_labels.split())
    assert re.search(rf"weighted avg .* {rows}(\.0)?\n", output)
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def wait_for(process, text):
    """Read what the process prints until `text` appears; return it."""
    output = ""
    while text not in output:
        line = process.stdout.read(1)
        assert line, output + process.stderr.read()
        output += line
    return output


@pytest.fixture
def endless(make_pair, tmp_path):
    """A function that starts a run without end, with a backup and a model to save."""
    make_pair(tmp_path, 15, 5)
    options = "-t train.csv -v test.csv -b 3 -e 5000 -m m.keras --backup b.weights.h5"
    processes = []

    def start():
        process = start_script(tmp_path, *options.split())
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_kill_9_resumes_and_ctrl_c_finishes_the_epoch(endless, tmp_path):
    process = endless()
    wait_for(process, "Epoch 3/5000")
    process.kill()
    process.wait()

    process = endless()
    output = wait_for(process, "Epoch 4/5000")
    assert "[INFO] resuming after epoch 2;" in output
    assert re.findall(r"Epoch (\d+)/5000", output) == ["3", "4"]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "[INFO] finishing this epoch; Ctrl-C again ends at once" in errors
    assert "Traceback" not in errors
    assert "weighted avg" in output
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)
    backup = train.build_model(3, 1)
    backup.optimizer.build(backup.trainable_variables)
    model = keras.models.load_model(tmp_path / "m.keras")
    backup.load_weights(tmp_path / "b.weights.h5")
    finished, rest = divmod(int(model.optimizer.iterations), 5)
    assert finished >= 4 and rest == 0
    assert int(backup.optimizer.iterations) == int(model.optimizer.iterations)


def test_a_second_ctrl_c_ends_the_process(endless):
    process = endless()
    wait_for(process, "Epoch 1/5000")
    process.send_signal(signal.SIGINT)  # in the seconds in which TensorFlow traces
    while "Ctrl-C again" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in errors and "precision" not in output


def test_a_backup_with_all_epochs_gives_the_report_and_stays(
    pair, tmp_path, monkeypatch, capsys
):
    options = "train.py -t train.csv -v test.csv -b 8 -e 1 --backup b.weights.h5"
    model = train.build_model(3, epochs=1)
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(5)
    model.save_weights(tmp_path / "b.weights.h5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", options.split())
    train.main()
    output = capsys.readouterr().out
    assert "Epoch" not in output and "weighted avg" in output
    assert "delete b.weights.h5 to start over" in output
    assert (tmp_path / "b.weights.h5").exists()
    assert not (tmp_path / "plot.png").exists()


def test_importing_the_script_leaves_matplotlibs_backend_alone(tmp_path):
    code = """if True:
        import matplotlib
        import train
        assert matplotlib.get_backend(auto_select=False) is None  # not chosen yet
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
