"""A backup resumes a run exactly, is refused if it can't, and survives a kill."""

import itertools
import os
import signal
import warnings

import numpy as np
import pytest
from conftest import at_epoch, error_of, needs_unix
from tensorflow import keras

from pyimagesearch.callbacks import Backup, StopOnCtrlC, WatchTraining, load_backup

STEPS = 3


def tiny_model(units=4, **optimizer):
    layers = [keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(**optimizer or {"momentum": 0.9}), loss="mse")
    return model


def train(path, epochs, *callbacks, model=None, steps=STEPS, first=()):
    """Train until that epoch; return the numbers of the epochs that ran, from 1."""
    model = model or tiny_model()
    history = model.fit(
        ((np.ones((2, 2)), np.ones((2, 1))) for _ in itertools.count()),
        steps_per_epoch=steps,
        initial_epoch=load_backup(model, path, steps, epochs),
        epochs=epochs,
        callbacks=[*first, Backup(path), *callbacks],
        verbose=0,
    )
    return [epoch + 1 for epoch in history.epoch]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.weights.h5"


@pytest.fixture
def backup(path):
    """The backup of a run that was killed in its fourth epoch."""
    assert train(path, 3) == [1, 2, 3]
    return path


def test_the_next_run_resumes_after_the_last_finished_epoch(backup, capsys):
    assert train(backup, 4) == [4]
    assert train(backup, 6) == [5, 6]
    assert "last epoch" not in capsys.readouterr().out
    assert train(backup, 6) == []
    assert "[INFO] that was the last epoch: nothing left" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [7, 2**32 - 1, None])
def test_a_resumed_run_draws_numbers_of_its_own(path, seed):
    for finished in (0, 3):
        np.random.seed(7)
        assert load_backup(tiny_model(), path, STEPS, 5, seed) == finished
        wanted = 7 if seed is None or not finished else (seed + 3) % 2**32
        assert np.random.random() == np.random.RandomState(wanted).random()
        train(path, 3)


def test_a_backup_that_cannot_be_written_is_one_warning(tmp_path, capsys):
    path = tmp_path / "gone" / "run.weights.h5"
    path.parent.mkdir()
    remove = at_epoch(2, lambda: (path.unlink(), path.parent.rmdir()))
    assert train(path, 4, remove) == [1, 2, 3, 4]
    reason = "No such file or directory; training continues without it"
    assert capsys.readouterr().err == f"[WARNING] {path}: {reason}\n"


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_backup(path, loss):
    model, history = tiny_model(), keras.callbacks.History()
    bad = [w + float(loss) for w in model.get_weights()]
    spoil = at_epoch(3, lambda: model.set_weights(bad))
    first = history, spoil, WatchTraining()  # in train.py's order
    message = error_of(train, path, 5, model=model, first=first)
    assert "the loss is " in message and " after epoch 3; lower" in message
    assert history.epoch == [0, 1, 2]  # it is in the plot
    assert load_backup(tiny_model(), path, STEPS, 5) == 2


def test_few_updates_and_a_low_validation_accuracy_are_told(capsys):
    watch, model = WatchTraining(), tiny_model()
    watch.set_model(model)
    watch.on_train_end()  # no epoch was run
    assert capsys.readouterr().err == ""
    told = (
        "[WARNING] accuracy is {:.2f} in training and {:.2f} in validation after only"
    )
    for updates, trained, validated, val_loss, is_told in (
        (500, 0.9, 0.1, 99, False),
        (9, 0.9, 0.61, 10, False),
        (9, 0.5, 0.9, 99, False),
        (9, 0.62, 0.53, 99, False),
        (9, 0.62, 0.34, 11, True),
        (499, 0.9, 0.6, 1, True),
    ):
        model.optimizer.iterations.assign(updates)
        logs = {"loss": 1, "accuracy": trained, "val_loss": val_loss}
        watch.on_train_end(logs | {"val_accuracy": validated})
        line = f"{told.format(trained, validated)} {updates} updates: the averages"
        assert capsys.readouterr().err.startswith(line) == is_told


def test_weights_momentum_and_the_update_count_are_restored(path):
    first, second = tiny_model(), tiny_model()
    train(path, 3, model=first)
    assert load_backup(second, path, STEPS, 3) == 3
    assert int(second.optimizer.iterations) == 3 * STEPS
    values = [[*m.weights, *m.optimizer.variables] for m in (first, second)]
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def refuse(path, reason, epochs=5, **options):
    """Check that the file is refused before training, without a warning, and stays."""
    before = path.read_bytes()
    with warnings.catch_warnings(action="error"):
        message = error_of(train, path, epochs, **options)
    assert message.startswith(f"{path}: ") and reason in message
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
@pytest.mark.parametrize("before", [b"", b"mine"])
def test_a_truncated_file_or_one_of_another_kind_is_no_backup(backup, share, before):
    text = backup.read_bytes()
    backup.write_bytes(before + text[: int(share * len(text))])
    refuse(backup, "no backup of this network; name another")


def test_a_backup_of_another_run_is_refused(backup):
    refuse(backup, "no backup of this network", model=tiny_model(units=5))
    refuse(backup, "9 updates, not 1 to 5 epochs of 4 steps; use that run's", steps=4)
    refuse(backup, "9 updates, not 1 to 2 epochs of 3 steps; use", epochs=2)
    without_momentum = tiny_model(learning_rate=0.01)
    refuse(backup, "no state of this optimizer", model=without_momentum)
    keras.Sequential([keras.Input((2,)), *tiny_model().layers]).save_weights(backup)
    refuse(backup, "no state of this optimizer; name another file")


def test_a_backup_that_cannot_be_read_is_not_called_another_networks(backup):
    fcntl = pytest.importorskip("fcntl")  # not on Windows
    with open(backup) as other, pytest.raises(BlockingIOError) as error:
        fcntl.flock(other, fcntl.LOCK_EX)
        train(backup, 5)
    assert error.value.filename == str(backup)
    assert error.value.strerror == os.strerror(error.value.errno)


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@needs_unix
def test_ctrl_c_stops_after_a_whole_epoch_and_restores_the_handler(path, capfd):
    model, before, during = tiny_model(), signal.getsignal(signal.SIGINT), []
    press = lambda: press_ctrl_c() or during.append(signal.getsignal(signal.SIGINT))
    assert train(path, 5, StopOnCtrlC(), at_epoch(2, press), model=model) == [1, 2]
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert signal.getsignal(signal.SIGINT) is before
    assert during == [signal.SIG_DFL]  # a second Ctrl-C would end the process
    line = "\n[INFO] finishing this epoch; press Ctrl-C again to quit now\n"
    assert capfd.readouterr().err == line
    assert train(path, 3) == [3]


@needs_unix
def test_ctrl_c_during_a_backup_ends_that_epoch(path, monkeypatch):
    def interrupted(backup, epoch, logs):
        save(backup, epoch, logs)
        if epoch == 1:
            press_ctrl_c()

    save = Backup.on_epoch_end
    monkeypatch.setattr(Backup, "on_epoch_end", interrupted)
    assert train(path, 5, StopOnCtrlC()) == [1, 2]  # in train.py's order


@needs_unix
def test_a_process_that_ignores_ctrl_c_keeps_ignoring_it(capfd):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert train(None, 3, StopOnCtrlC(), at_epoch(2, press_ctrl_c)) == [1, 2, 3]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "Ctrl-C" not in capfd.readouterr().err
