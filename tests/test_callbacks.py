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


def test_the_next_run_resumes_after_the_last_finished_epoch(backup):
    assert train(backup, 5) == [4, 5]
    assert train(backup, 5) == []


def test_one_finished_epoch_is_enough_to_resume(path):
    assert train(path, 1) == [1]
    assert train(path, 2) == [2]


def test_without_a_path_nothing_is_loaded_or_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(None, 2) == [1, 2]
    assert list(tmp_path.iterdir()) == []


def test_resuming_is_said_with_the_way_to_start_over(backup, capsys):
    assert load_backup(tiny_model(), backup, STEPS, 4) == 3
    line = f"[INFO] resuming after epoch 3; delete {backup} to start over\n"
    assert capsys.readouterr().out == line
    assert load_backup(tiny_model(), backup, STEPS, 3) == 3
    assert "nothing left to train, or to plot" in capsys.readouterr().out


def test_weights_momentum_and_the_update_count_are_restored(path):
    first, second = tiny_model(), tiny_model()
    train(path, 3, first)
    assert load_backup(second, path, STEPS, 3) == 3
    assert int(second.optimizer.iterations) == 3 * STEPS
    values = [[*m.weights, *m.optimizer.variables] for m in (first, second)]
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def refuse(path, reason, epochs=5, **options):
    """Check that the file is refused before training, and stays."""
    before = path.read_bytes()
    with pytest.raises(InputError, match=reason) as error:
        train(path, epochs, **options)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_not_a_backup(backup, share):
    text = backup.read_bytes()
    backup.write_bytes(text[: int(share * len(text))])
    refuse(backup, "not a backup")


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("not a backup of this network", {"model": tiny_model(units=5)}),
        ("9 updates, which is not a .* of 4 steps .1 to 5.; use", {"steps": 4}),
        ("9 updates, .* of 3 steps .1 to 2.", {"epochs": 2}),
    ],
)
def test_a_backup_of_another_run_is_refused(backup, reason, options):
    refuse(backup, reason, **options)


def test_a_file_of_another_kind_is_not_a_backup(path):
    path.write_text("mine")
    refuse(path, "not a backup")
    weights_alone = keras.Sequential([keras.Input((2,)), *tiny_model().layers])
    weights_alone.save_weights(path)
    refuse(path, "0 updates")


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the second batch of the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == STEPS + 2:
            os.kill(os.getpid(), signal.SIGINT)
            self.handler = signal.getsignal(signal.SIGINT)


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


def test_a_process_that_ignores_ctrl_c_keeps_ignoring_it(capfd):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert train(None, 3, callbacks=[StopOnCtrlC(), Interrupt()]) == [1, 2, 3]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "Ctrl-C" not in capfd.readouterr().err
