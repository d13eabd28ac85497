"""The page own_csv.md: its program in an empty folder, and what changes it."""

import re
from collections import Counter
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
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
    real_fit = keras.Model.fit

    def fit(model, *args, callbacks, **options):
        def spoil(epoch, logs):
            model.optimizer.learning_rate = 0.001 if epoch < 3 else 1.0

        last = keras.callbacks.LambdaCallback(on_epoch_begin=spoil)
        return real_fit(model, *args, callbacks=[*callbacks, last], **options)

    with pytest.MonkeyPatch.context() as context:
        context.chdir(tmp_path_factory.mktemp("own"))
        with pytest.MonkeyPatch.context() as bad_end:
            bad_end.setattr(keras.Model, "fit", fit)
            found = run_page(Path.cwd(), "own_csv", epochs=4)
        yield found


def test_each_row_is_in_one_part_and_the_submission_is_right(own):
    run_code(Path.cwd(), LABEL_ROWS)
    truth, pixels = load_digits().target, load_digits().data.astype(int)
    values = [",".join(map(str, row)) for row in pixels]
    rows = [f"{label},{row}" for label, row in zip(truth[:1545], values)]
    assert sorted(rows) == sorted(chain(*map(rows_of, PARTS)))
    assert {*Counter(row[0] for row in rows_of("testing")).values()} <= {30, 31, 32}
    header, *contest = lines_of("contest.csv")
    assert contest == [f"{k},{values[k]}" for k in range(1545, 1797)]

    header, *submission = lines_of("submission.csv")
    ids, labels = zip(*(line.split(",") for line in submission))
    assert header == "id,label" and ids == tuple(map(str, range(1545, 1797)))
    assert np.mean(np.array(labels, int) == truth[1545:]) > 0.85
    for picture in ("look.png", "confusion.png", "look_again.png"):
        assert np.array(Image.open(picture)).std() > 10


def test_the_saved_model_is_that_of_the_best_epoch(own):
    model = keras.models.load_model("digits.keras")
    images = [image for *_, image in own["read_rows"]("digits_validation.csv")]
    one_hot = own["lb"].transform(own["validation_labels"])
    loss, _ = model.evaluate(np.array(images, "float32"), one_hot, verbose=0)
    losses = own["history"].history["val_loss"]
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert min(losses) < losses[-1] / 2
    assert lines_of("digits.classes.txt") == list("0123456789")


@pytest.mark.parametrize("scale", ["{} * 15", "{} / 16", "{} * 5 - 80"])
def test_any_scale_looks_the_same_inside(own, tmp_path, monkeypatch, scale):
    monkeypatch.chdir(tmp_path)
    code = "\n".join([*BLOCKS[:3], BLOCKS[4]])  # up to the network, without the look
    code = code.replace("digits.data\n", scale.format("digits.data") + "\n")
    if scale != "{} * 15":
        code = code.replace("where, SHAPE)", 'where, SHAPE, dtype="float32")')
    found = run_code(tmp_path, code)
    seen = found["model"].layers[0](np.array(found["images"], "float32"))
    wanted = own["model"].layers[0](np.array(own["images"], "float32"))
    np.testing.assert_allclose(seen, wanted, atol=1e-3)
    assert np.std(wanted) == pytest.approx(1, abs=1e-3)


def test_eight_pictures_of_each_class_are_drawn_on_one_grey_scale(own):
    rows = list(own["read_rows"]("digits_training.csv"))
    for axes_row, digit in zip(own["grid"], "0123456789", strict=True):
        wanted = [image for _, label, image in rows if label == digit][:8]
        for axes, image in zip(axes_row, wanted, strict=True):
            (drawn,) = axes.images
            assert axes.get_title() == digit and drawn.get_clim() == (0, 16)
            np.testing.assert_array_equal(drawn.get_array(), image[..., 0])


def test_a_step_needs_neither_the_digits_nor_the_look_nor_the_report(tmp_path):
    dropped = [{0}, {0, 3}, {0, 6}, {0, 3, 6}]
    kept = [[c for k, c in enumerate(BLOCKS) if k not in drop] for drop in dropped]
    run_ruff(tmp_path / "steps", map("\n".join, kept), "check", "--select=F821")


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
    images = [
        image for *_, image in islice(own["read_rows"]("digits_training.csv"), 32)
    ]
    np.testing.assert_array_equal(next(names["batches"])[0], images)
    ((_, batches, options),) = fits
    rows = {image.tobytes() for images, _ in islice(batches, 49) for image in images}
    assert len(rows) == 1545 and options["steps_per_epoch"] == 1545 // 32
    final = keras.models.load_model("digits_all.keras")  # scaled as the first model is
    seen, wanted = (m.layers[0](np.array(images)) for m in (final, own["model"]))
    np.testing.assert_array_equal(seen, wanted)


def run_later(code):
    """Run a later block, which must not change the program's files."""
    before = {path: path.read_bytes() for path in Path().glob("[!b]*.*")}
    found = run_code(Path.cwd(), code)
    assert {path: path.read_bytes() for path in before} == before
    return found


def test_rare_rows_weigh_more_or_come_more_often_but_only_in_training(own, fits):
    found = run_later(RARE)
    labels = found["train_labels"]
    few = [name for name in found["lb"].classes_ if labels.count(name) < 10]
    assert few == ["3", "8", "9"] and found["test_labels"] == own["test_labels"]
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
    found = run_later(FOLDS)
    assert len({id(model) for model, *_ in fits}) == len(found["accuracies"]) == 5
    assert {*found["held_out"], *found["training"]} == set(range(1236))
    rows = found["read_fold"](found["PATHS"], set(found["held_out"]))
    held_out = {image.tobytes() for *_, image in rows}
    images = chain(*(images for images, _ in islice(fits[-1][1], 31)))
    trained = {image.astype("uint8").tobytes() for image in images}
    assert len(held_out) == 1236 // 5 and len(trained) > 950 and not trained & held_out


def test_the_cure_for_few_updates_reaches_every_moving_average():
    names = {"tf": tf, "model": train.build_model(2, 1)}
    exec(fragment("layer.momentum"), names)  # noqa: S102
    momenta = [getattr(layer, "momentum", 0.9) for layer in names["model"].layers]
    assert set(momenta) == {0.9}
