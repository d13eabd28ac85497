"""A backup resumes a run exactly, is refused if it can't, and survives a kill."""

import itertools
import os
import signal
import warnings

import numpy as np
import pytest
from conftest import needs_unix
from tensorflow import keras

from pyimagesearch.callbacks import Backup, StopOnCtrlC, WatchTraining, load_backup
from pyimagesearch.csv_rows import InputError

STEPS = 3


def tiny_model(units=4, **optimizer):
    layers = [keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(**optimizer or {"momentum": 0.9}), loss="mse")
    return model


def train(path, epochs, model=None, steps=STEPS, callbacks=()):
    """Train until that epoch; return the numbers of the epochs that ran, from 1."""
    model = model or tiny_model()
    history = model.fit(
        ((np.ones((2, 2)), np.ones((2, 1))) for _ in itertools.count()),
        steps_per_epoch=steps,
        initial_epoch=load_backup(model, path, steps, epochs),
        epochs=epochs,
        callbacks=[Backup(path), *callbacks],
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
    np.random.seed(7)
    assert load_backup(tiny_model(), path, STEPS, 5, seed) == 0
    assert np.random.random() == np.random.RandomState(7).random()  # as before
    train(path, 3)
    np.random.seed(7)
    load_backup(tiny_model(), path, STEPS, 5, seed)
    wanted = 7 if seed is None else (seed + 3) % 2**32
    assert np.random.random() == np.random.RandomState(wanted).random()


class AtEpoch(keras.callbacks.Callback):
    """Calls a function with the model at the beginning of one epoch."""

    def __init__(self, epoch, action):
        super().__init__()
        self.epoch, self.action = epoch, action

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            self.action(self.model)


def test_a_backup_that_cannot_be_written_is_one_warning(tmp_path, capsys):
    (tmp_path / "gone").mkdir()
    path = tmp_path / "gone" / "run.weights.h5"
    callbacks = [AtEpoch(2, lambda model: (path.unlink(), path.parent.rmdir()))]
    assert train(path, 4, callbacks=callbacks) == [1, 2, 3, 4]
    reason = "No such file or directory; training continues without it"
    assert capsys.readouterr().err == f"[WARNING] {path}: {reason}\n"


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_backup(path, loss):
    def spoil(model):
        model.set_weights([w + float(loss) for w in model.get_weights()])

    history = keras.callbacks.History()
    with pytest.raises(InputError, match="the loss is (nan|inf) after epoch 3; lower"):
        train(path, 5, callbacks=[AtEpoch(3, spoil), WatchTraining(), history])
    assert history.epoch == [0, 1, 2]  # it is in the plot
    assert load_backup(tiny_model(), path, STEPS, 5) == 2


FEW = (
    "[WARNING] accuracy is {} in training and {} in validation after only {} updates: the"
    " averages of batch normalization may lag behind; see"
)


@pytest.mark.parametrize(
    ("updates", "trained", "validated", "told"),
    [(499, 0.9, 0.6, 1), (500, 0.9, 0.1, 0), (9, 0.9, 0.61, 0), (9, 0.5, 0.9, 0)],
)
def test_few_updates_and_a_low_validation_accuracy_are_told(
    updates, trained, validated, told, capsys
):
    watch, model = WatchTraining(), tiny_model()
    watch.set_model(model)
    model.optimizer.iterations.assign(updates)
    watch.on_train_end({"loss": 1, "accuracy": trained, "val_accuracy": validated})
    message = FEW.format("0.90", "0.60", updates)
    assert capsys.readouterr().err.startswith(message) == bool(told)
    watch.on_train_end()  # no epoch was run
    assert capsys.readouterr().err == ""


@needs_unix
def test_ctrl_c_during_a_backup_ends_that_epoch(path, monkeypatch):
    save = keras.Model.save_weights

    def interrupted(model, *args):
        save(model, *args)
        if int(model.optimizer.iterations) == 2 * STEPS:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(keras.Model, "save_weights", interrupted)
    # train.py's order.
    assert train(path, 5, callbacks=[StopOnCtrlC()]) == [1, 2]


def test_weights_momentum_and_the_update_count_are_restored(path):
    first, second = tiny_model(), tiny_model()
    train(path, 3, first)
    assert load_backup(second, path, STEPS, 3) == 3
    assert int(second.optimizer.iterations) == 3 * STEPS
    values = [[*m.weights, *m.optimizer.variables] for m in (first, second)]
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def refuse(path, reason, epochs=5, **options):
    """Check that the file is refused before training, without a warning, and stays."""
    before = path.read_bytes()
    with (
        pytest.raises(InputError, match=reason) as error,
        warnings.catch_warnings(action="error"),
    ):
        train(path, epochs, **options)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
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


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the second batch of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == STEPS + 2:
            os.kill(os.getpid(), signal.SIGINT)
            self.handler = signal.getsignal(signal.SIGINT)


@needs_unix
def test_ctrl_c_stops_after_a_whole_epoch_and_restores_the_handler(path, capfd):
    model, interrupt = tiny_model(), Interrupt()
    handler = signal.getsignal(signal.SIGINT)
    assert train(path, 5, model, callbacks=[StopOnCtrlC(), interrupt]) == [1, 2]
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert signal.getsignal(signal.SIGINT) is handler
    assert interrupt.handler == signal.SIG_DFL  # a second Ctrl-C would end the process
    line = "\n[INFO] finishing this epoch; press Ctrl-C again to quit now\n"
    assert capfd.readouterr().err == line
    assert train(path, 3) == [3]


@needs_unix
def test_a_process_that_ignores_ctrl_c_keeps_ignoring_it(capfd):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert train(None, 3, callbacks=[StopOnCtrlC(), Interrupt()]) == [1, 2, 3]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "Ctrl-C" not in capfd.readouterr().err
