"""A backup survives whatever a kill leaves of it, and nothing else is touched."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from tensorflow import keras

from pyimagesearch.backup import (
    FILES,
    METADATA,
    WEIGHTS,
    backup_callback,
    remove_backup,
)

STEPS = 3


def tiny_model(units=4):
    layers = [keras.Input((2,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9), loss="mse")
    return model


def train(folder, epochs, model=None):
    """Train for that many epochs in all; return the numbers of those that ran, from 1."""
    model = model or tiny_model()
    callback = backup_callback(model, folder, STEPS)
    batches = ((np.ones((2, 2)), np.ones((2, 1))) for _ in itertools.count())
    history = model.fit(
        batches, steps_per_epoch=STEPS, epochs=epochs, callbacks=[callback], verbose=0
    )
    return [epoch + 1 for epoch in history.epoch]


@pytest.fixture
def backup(tmp_path):
    """The backup of a run that was killed in its fourth epoch."""
    assert train(tmp_path / "backup", 3) == [1, 2, 3]
    return tmp_path / "backup"


def test_the_next_run_goes_on_after_the_last_finished_epoch(backup):
    assert train(backup, 5) == [4, 5]
    assert train(backup, 5) == []


def test_weights_momentum_and_count_of_updates_come_back(backup):
    first, second = tiny_model(), tiny_model()
    train(backup, 3, first)
    train(backup, 3, second)
    assert int(second.optimizer.iterations) == 3 * STEPS
    for one, other in zip(first.optimizer.variables, second.optimizer.variables):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_cut_weights_cost_one_epoch(backup, share):
    text = (backup / WEIGHTS).read_bytes()
    (backup / WEIGHTS).write_bytes(text[: int(share * len(text))])
    assert train(backup, 5) == [3, 4, 5]


@pytest.mark.parametrize("text", ["", "{", '{"epoch": 3', '{"epoch": 2, "batch": 0}'])
def test_cut_or_late_metadata_costs_nothing(backup, text):
    (backup / METADATA).write_text(text)
    assert train(backup, 5) == [4, 5]


def test_missing_metadata_costs_nothing(backup):
    (backup / METADATA).unlink()
    assert train(backup, 5) == [4, 5]


@pytest.mark.parametrize("name", sorted(FILES))
def test_any_one_file_cut_in_half_stops_nothing(backup, name):
    text = (backup / name).read_bytes()
    (backup / name).write_bytes(text[: len(text) // 2])
    assert train(backup, 5)[-1] == 5


def test_if_all_is_cut_training_starts_anew(backup):
    for name in FILES:
        text = (backup / name).read_bytes()
        (backup / name).write_bytes(text[: len(text) // 2])
    assert train(backup, 2) == [1, 2]


def test_a_backup_of_another_network_is_refused_and_stays(backup):
    before = (backup / WEIGHTS).read_bytes()
    with pytest.raises(ValueError, match="of another network"):
        train(backup, 5, tiny_model(units=5))
    assert (backup / WEIGHTS).read_bytes() == before


def test_only_the_backup_is_removed(backup):
    (backup / "diary.txt").write_text("mine")
    remove_backup(backup)
    assert [path.name for path in backup.iterdir()] == ["diary.txt"]


def test_a_disk_without_room_is_said_before_training(tmp_path, monkeypatch):
    usage = SimpleNamespace(free=100)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="more than the disk has free"):
        train(tmp_path / "backup", 1)
