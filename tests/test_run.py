"""The script from end to end, as a reader runs it: options, faults and figures."""

import csv
import re
import signal
import sys

import numpy as np
import pytest
from conftest import csv_bytes, make_rows, run_script, start_script
from sklearn.metrics import classification_report
from tensorflow import keras

import train

PNG = b"\x89PNG"


def figures(output):
    """Return what a run printed of its epochs and its report, without the times."""
    epochs = re.findall(r"(?m)accuracy: \S+ - loss: \S+ - val_accuracy.*$", output)
    return epochs, report(output)


def report(output):
    start = output.rindex("              precision")
    return output[start:]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A folder, and what two runs of the same command in it printed, with all options."""
    folder = tmp_path_factory.mktemp("seeded")
    labels = ["rose", "iris", "lily", "rose"] * 10
    (folder / "train.csv").write_bytes(csv_bytes(make_rows(labels)))
    (folder / "test.csv").write_bytes(csv_bytes(make_rows(labels[:21], seed=1)))
    options = (
        "--train-csv train.csv --test-csv test.csv --epochs 3 --batch-size 8"
        " --plot curves.png --model model.keras --backup backup --seed 1"
    )
    return folder, [run_script(folder, *options.split()) for _ in range(2)]


def test_the_same_seed_prints_the_same_numbers(seeded):
    _, (first, second) = seeded
    epochs, _ = figures(first)
    assert len(epochs) == 3
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
    updates = 3 * (40 // 8)
    assert int(optimizer.iterations) == updates
    wanted = 0.01 / (1 + updates * 0.01 / 3)
    assert float(optimizer.learning_rate) == pytest.approx(wanted)
    assert optimizer.momentum == 0.9


def test_it_leaves_what_was_asked_for_and_nothing_else(seeded):
    folder, _ = seeded
    assert (folder / "curves.png").read_bytes().startswith(PNG)
    assert list((folder / "backup").iterdir()) == []
    names = {path.name for path in folder.iterdir()}
    assert names == {"train.csv", "test.csv", "curves.png", "model.keras", "backup"}


def test_steps_are_as_in_the_tutorial(seeded):
    _, (output, _) = seeded
    assert "[INFO] training w/ generator..." in output
    assert "5/5" in output  # 40 // 8 steps an epoch
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
def endless(pair, tmp_path):
    """A run that would take for ever, with a backup; started when it is called."""
    options = "-t train.csv -v test.csv -b 8 -e 5000 --backup backup"
    processes = []

    def start():
        process = start_script(tmp_path, *options.split())
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_ctrl_c_brings_the_report_of_the_finished_epochs(endless, tmp_path):
    process = endless()
    wait_for(process, "Epoch 3/5000")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "[INFO] stopped after epoch 2\n" in output
    assert "weighted avg" in output
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def test_ctrl_c_before_the_first_epoch_is_a_goodbye(endless, tmp_path):
    process = endless()
    wait_for(process, "Epoch 1/5000")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 1, errors
    assert errors.splitlines()[-1].startswith("[INFO] stopped before")
    assert "Traceback" not in errors and "precision" not in output
    assert not (tmp_path / "plot.png").exists()


def test_after_kill_9_the_same_command_goes_on(endless, tmp_path):
    process = endless()
    wait_for(process, "Epoch 3/5000")
    process.kill()
    process.wait()
    process = endless()
    output = wait_for(process, "Epoch 4/5000")
    assert re.findall(r"Epoch (\d+)/5000", output) == ["3", "4"]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert "[INFO] stopped after epoch 3\n" in output, errors
