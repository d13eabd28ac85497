"""A backup resumes a run exactly, is refused if it can't, and survives a kill."""

import itertools
import os
import signal

import numpy as np
import pytest
from tensorflow import keras

from pyimagesearch.callbacks import Backup, StopOnCtrlC, load_backup
from pyimagesearch.csv_rows import InputError

STEPS = 3


def tiny_model(units=4):
    layers = [keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9), loss="mse")
    return model


def train(path, epochs, model=None, steps=STEPS, callbacks=()):
    """Train until that epoch; return the numbers of the epochs that ran, from 1."""
    model = model or tiny_model()
    initial_epoch = load_backup(model, path, steps, epochs)
    batches = ((np.ones((2, 2)), np.ones((2, 1))) for _ in itertools.count())
    history = model.fit(
        batches,
        steps_per_epoch=steps,
        initial_epoch=initial_epoch,
        epochs=epochs,
        callbacks=[Backup(path), *callbacks],
        verbose=0,
    )
    return [epoch + 1 for epoch in history.epoch]


@pytest.fixture
def backup(tmp_path):
    """The backup of a run that was killed in its fourth epoch."""
    path = tmp_path / "run.weights.h5"
    assert train(path, 3) == [1, 2, 3]
    return path


def test_the_next_run_resumes_after_the_last_finished_epoch(backup):
    assert train(backup, 5) == [4, 5]
    assert train(backup, 5) == []


def test_weights_momentum_and_the_update_count_are_restored(tmp_path):
    path, first, second = tmp_path / "run.weights.h5", tiny_model(), tiny_model()
    train(path, 3, first)
    assert load_backup(second, path, STEPS, 3) == 3
    assert int(second.optimizer.iterations) == 3 * STEPS
    for one, other in zip(first.optimizer.variables, second.optimizer.variables):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_array_equal(one, other)


def refuse(path, reason, **options):
    """Check that the file is refused before training, and stays."""
    before = path.read_bytes()
    with pytest.raises(InputError, match=reason) as error:
        train(path, **options)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_not_a_backup(backup, share):
    text = backup.read_bytes()
    backup.write_bytes(text[: int(share * len(text))])
    refuse(backup, "not a backup", epochs=5)


def test_a_file_of_another_kind_is_not_a_backup(tmp_path):
    path = tmp_path / "notes.weights.h5"
    path.write_text("mine")
    refuse(path, "not a backup", epochs=5)


def test_a_backup_of_another_network_is_refused(backup):
    refuse(backup, "not a backup of this network", epochs=5, model=tiny_model(units=5))


def test_a_backup_from_other_steps_per_epoch_is_refused(backup):
    refuse(backup, "9 updates", epochs=5, steps=4)


def test_a_backup_with_more_epochs_than_asked_for_is_refused(backup):
    refuse(backup, "9 updates", epochs=2)


def test_weights_without_the_optimizers_state_are_refused(tmp_path):
    path = tmp_path / "weights.weights.h5"
    layers = [keras.Input((2,)), keras.layers.Dense(4), keras.layers.Dense(1)]
    keras.Sequential(layers).save_weights(path)
    refuse(path, "0 updates", epochs=5)


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the second batch of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == STEPS + 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_stops_after_a_whole_epoch_and_restores_the_handler(tmp_path, capfd):
    model = tiny_model()
    handler = signal.getsignal(signal.SIGINT)
    callbacks = [StopOnCtrlC(), Interrupt()]
    path = tmp_path / "run.weights.h5"
    assert train(path, 5, model, callbacks=callbacks) == [1, 2]
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert signal.getsignal(signal.SIGINT) is handler
    assert "finishing this epoch; Ctrl-C again" in capfd.readouterr().err
    assert train(path, 3) == [3]
