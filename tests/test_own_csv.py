"""The page own_csv.md: its program in an empty folder, and what changes it."""

import re
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from pages import lines_of, run_code, run_page, run_ruff
from PIL import Image
from sklearn.datasets import load_digits
from tensorflow import keras

import train
from pyimagesearch.recipes.__main__ import build_programs, code_blocks

BLOCKS, FRAGMENTS = code_blocks("own_csv"), code_blocks("own_csv", "fragment")
_, LABEL_ROWS, RARE, FOLDS = build_programs("own_csv")
PARTS = {"training": "train", "validation": "validation", "testing": "test"}


def fragment(text):
    (code,) = [code for code in FRAGMENTS if text in code]
    return code


def rows_of(part):
    return lines_of(f"digits_{part}.csv")[1:]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The variables of the program, whose fourth epoch is bad, in the current folder."""

    def spoil(early_stopping, epoch, logs):
        early_stopping.model.optimizer.learning_rate = 0.001 if epoch < 3 else 1.0

    with pytest.MonkeyPatch.context() as context:
        context.chdir(tmp_path_factory.mktemp("own"))
        with patch.object(keras.callbacks.EarlyStopping, "on_epoch_begin", spoil):
            found = run_page(Path.cwd(), "own_csv", epochs=4)
        yield found


def test_each_row_is_in_one_part_and_the_submission_is_right(own):
    run_code(Path.cwd(), LABEL_ROWS)
    truth, pixels = load_digits().target, load_digits().data.astype(int)
    rows = [",".join(map(str, row)) for row in np.column_stack([truth, pixels])]
    assert sorted(rows[:1545]) == sorted(chain(*map(rows_of, PARTS)))
    assert {*Counter(row[0] for row in rows_of("testing")).values()} <= {30, 31, 32}
    submission = np.genfromtxt("submission.csv", int, delimiter=",", names=True)
    assert submission["id"].tolist() == [*range(1545, 1797)]
    assert np.mean(submission["label"] == truth[1545:]) > 0.85
    for picture in ("look.png", "confusion.png", "look_again.png"):
        assert np.array(Image.open(picture)).std() > 10


def test_the_saved_model_is_that_of_the_best_epoch_and_scales_the_values(own):
    model = keras.models.load_model("digits.keras")
    loss, _ = model.evaluate(own["make_validation_gen"](), steps=10, verbose=0)
    losses = own["history"].history["val_loss"]
    assert loss == pytest.approx(min(losses), rel=1e-4) and min(losses) < losses[-1] / 2
    assert lines_of("digits.classes.txt") == list("0123456789")
    scaled = model.layers[0](np.array(own["images"], "float32"))
    assert np.allclose([np.mean(scaled), np.std(scaled)], [0, 1], atol=1e-3)


def test_eight_pictures_of_each_class_are_drawn_on_one_grey_scale(own):
    rows = list(own["read_rows"]("digits_training.csv"))
    for axes_row, digit in zip(own["grid"], "0123456789", strict=True):
        wanted = [image for _, label, image in rows if label == digit][:8]
        for axes, image in zip(axes_row, wanted, strict=True):
            (drawn,) = axes.images
            assert axes.get_title() == digit and drawn.get_clim() == (0, 16)
            np.testing.assert_array_equal(drawn.get_array(), image[..., 0])


def test_no_step_needs_a_name_of_the_digits_the_look_or_the_report(tmp_path):
    kept = BLOCKS[1:], BLOCKS[1:3] + BLOCKS[4:], BLOCKS[1:6] + BLOCKS[7:]
    run_ruff(tmp_path / "own", map("\n".join, kept), "check", "--select=F821")


@pytest.mark.parametrize("by_time", [False, True])
def test_what_belongs_together_stays_in_one_part(tmp_path, monkeypatch, by_time):
    monkeypatch.chdir(tmp_path)
    code = BLOCKS[0] + BLOCKS[1] + fragment("k // 130")
    if by_time:
        groups, names = fragment("5 * k").splitlines()
        code = re.sub(r"(?m)^groups = .*$", groups, code)
        code = re.sub(r"(?m)^rest, testing = .*\n.*$", names, code)
    found = run_code(tmp_path, code)
    group_of = dict(zip(found["rows"], found["groups"]))
    assert sorted(chain(*map(rows_of, PARTS))) == sorted(group_of)
    groups = [{group_of[row] for row in rows_of(part)} for part in PARTS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == (5 if by_time else 12)
    assert not by_time or groups == [{0, 1, 2}, {3}, {4}]
    for part, name in PARTS.items():
        assert found[f"{name}_labels"] == [row[0] for row in rows_of(part)]
        assert rows_of(part) != [row for row in found["rows"] if row in rows_of(part)]


@pytest.fixture
def fits(own, monkeypatch):
    """What is passed to fit, which trains nothing."""
    calls = []
    record = lambda model, batches, **options: calls.append((model, batches, options))
    monkeypatch.setattr(keras.Model, "fit", record)
    return calls


def test_several_files_are_one_and_the_last_model_learns_from_all(own, fits):
    names = own | {"aug": None}
    exec(fragment("all_labels") + fragment("digits_all.keras"), names)  # noqa: S102
    assert names["all_labels"] == own["train_labels"] + own["validation_labels"]
    assert len(next(names["batches"])[0]) == 32
    ((_, batches, options),) = fits
    rows = {image.tobytes() for images, _ in islice(batches, 49) for image in images}
    assert len(rows) == 1545 and options["steps_per_epoch"] == 1545 // 32
    assert options["epochs"] == np.argmin(own["history"].history["val_loss"]) + 1
    final = keras.models.load_model("digits_all.keras")
    assert final.layers[0].mean == own["model"].layers[0].mean


def test_rare_rows_weigh_more_or_come_more_often_but_only_in_training(own, fits):
    found = run_code(Path.cwd(), RARE)
    counts = Counter(found["train_labels"]).items()
    assert {label for label, n in counts if n < 10} == {"3", "8", "9"}
    assert found["test_labels"] == own["test_labels"]
    shares, kinds = [], []
    for _, batches, options in fits:
        _, one_hot, weights = zip(*islice(batches, 64))
        assert max(batch.sum(0).max() for batch in one_hot) < 14  # shuffled
        totals = np.concatenate(weights) @ np.concatenate(one_hot)
        shares.append(totals.min() / totals.max())
        kinds.append(len(np.unique(next(iter(options["validation_data"]))[2])))
    assert shares[0] < 0.1 and min(shares[1:]) > 0.8
    assert kinds[0] == 1 and min(kinds[1:]) > 1


def test_each_fold_is_held_out_from_a_new_model(fits):
    found = run_code(Path.cwd(), FOLDS)
    assert len({id(model) for model, *_ in fits}) == len(found["accuracies"]) == 5
    assert {*found["held_out"], *found["training"]} == set(range(1236))
    rows = found["read_fold"](found["PATHS"], set(found["held_out"]))
    held_out = {image.tobytes() for *_, image in rows}
    images = chain(*(images for images, _ in islice(fits[-1][1], 31)))
    trained = {image.astype("uint8").tobytes() for image in images}
    assert len(held_out) == 1236 // 5 and len(trained) > 950 and not trained & held_out


def test_the_cure_for_few_updates_reaches_every_moving_average():
    model = train.build_model(2, 1)
    exec(fragment("layer.momentum"), vars(train) | {"model": model})  # noqa: S102
    assert {getattr(layer, "momentum", 0.9) for layer in model.layers} == {0.9}
