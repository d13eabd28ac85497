"""A backup resumes a run exactly, is refused if it can't, and survives a kill."""

import itertools
import re
import warnings
from signal import SIG_DFL, SIG_IGN, SIGINT, getsignal, raise_signal, signal

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


def train(path, epochs, *callbacks, model=None, steps=STEPS):
    """Train until that epoch; return the numbers of the epochs that ran, from 1."""
    model = model or tiny_model()
    history = model.fit(
        ((np.ones((2, 2)), np.ones((2, 1))) for _ in itertools.count()),
        steps_per_epoch=steps,
        initial_epoch=load_backup(model, path, steps, epochs),
        epochs=epochs,
        callbacks=[*callbacks, Backup(path)],
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


def test_a_resumed_run_draws_numbers_of_its_own(backup):
    for seed, wanted in ((2**31, 2**31 + 3), (2**32 - 1, 2), (None, 7)):
        np.random.seed(7)
        assert load_backup(tiny_model(), backup, STEPS, 5, seed) == 3
        assert np.random.random() == np.random.RandomState(wanted).random()


def test_a_backup_that_cannot_be_written_is_one_warning(tmp_path, capsys):
    path = tmp_path / "gone" / "run.weights.h5"
    path.parent.mkdir()
    remove = at_epoch(2, lambda: (path.unlink(), path.parent.rmdir()))
    assert train(path, 4, remove) == [1, 2, 3, 4]
    reason = "No such file or directory; training continues without it"
    assert capsys.readouterr().err == f"[WARNING] {path}: {reason}\n"


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_backup(path, loss):
    model = tiny_model()
    bad = [w + float(loss) for w in model.get_weights()]
    spoil = at_epoch(3, lambda: model.set_weights(bad))
    message = error_of(train, path, 5, spoil, WatchTraining(), model=model, steps=1)
    assert message.startswith(f"the loss is {loss} after epoch 3; lower the learning")
    assert load_backup(tiny_model(), path, 1, 5) == 2


def test_few_updates_and_a_low_validation_accuracy_are_told(capsys):
    (watch := WatchTraining()).set_model(model := tiny_model())
    watch.on_train_end()  # no epoch was run
    silent = [(500, 0.9, 0.1, 99), (9, 0.9, 0.61, 10), (9, 0.62, 0.53, 99)]
    told = [(9, 0.62, 0.51, 11), (499, 0.3, 0.0, 1)]
    for updates, trained, validated, val_loss in silent + told:
        model.optimizer.iterations.assign(updates)
        logs = {"loss": 1, "accuracy": trained, "val_loss": val_loss}
        watch.on_train_end(logs | {"val_accuracy": validated})
    line = r"is (.*) in training and (.*) in validation after only (.*) updates"
    wanted = [("0.62", "0.51", "9"), ("0.30", "0.00", "499")]
    assert re.findall(line, capsys.readouterr().err) == wanted


def test_weights_momentum_and_the_update_count_are_restored(path):
    first, second = tiny_model(), tiny_model()
    train(path, 3, model=first)
    assert load_backup(second, path, STEPS, 3) == 3
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


def test_a_damaged_file_and_a_backup_of_another_run_are_refused(backup):
    text = backup.read_bytes()
    for damaged in (b"", text[: len(text) // 2], text[:-9], b"mine" + text):
        backup.write_bytes(damaged)
        refuse(backup, "no backup of this network; name another")
    backup.write_bytes(text)
    refuse(backup, "no backup of this network", model=tiny_model(units=5))
    refuse(backup, "9 updates, not 1 to 5 epochs of 4 steps; use that run's", steps=4)
    refuse(backup, "9 updates, not 1 to 2 epochs of 3 steps; use", epochs=2)
    refuse(backup, "no state of this optimizer", model=tiny_model(learning_rate=0.1))
    keras.Sequential([keras.Input((2,)), *tiny_model().layers]).save_weights(backup)
    refuse(backup, "no state of this optimizer; name another file")


def test_a_backup_that_cannot_be_read_is_not_called_another_networks(path):
    path.mkdir()
    with pytest.raises(OSError, match=f"Is a directory: {str(path)!r}"):
        train(path, 5)


@needs_unix
def test_ctrl_c_stops_after_a_whole_epoch_and_restores_the_handler(path, capfd):
    before, during = getsignal(SIGINT), []
    press = lambda: raise_signal(SIGINT) or during.append(getsignal(SIGINT))
    assert train(path, 5, StopOnCtrlC(), at_epoch(2, press)) == [1, 2]
    assert getsignal(SIGINT) is before
    assert during == [SIG_DFL]  # a second Ctrl-C would end the process
    assert "finishing this epoch; press Ctrl-C again" in capfd.readouterr().err
    assert train(path, 3) == [3]


@needs_unix
def test_a_process_that_ignores_ctrl_c_keeps_ignoring_it(capfd):
    handler = signal(SIGINT, SIG_IGN)
    try:
        press = at_epoch(2, lambda: raise_signal(SIGINT))
        assert train(None, 3, StopOnCtrlC(), press) == [1, 2, 3]
        assert getsignal(SIGINT) == SIG_IGN
    finally:
        signal(SIGINT, handler)
    assert "Ctrl-C" not in capfd.readouterr().err
