"""What check_generator says of wrong generators, and that it leaves right ones alone."""

import shutil
import tracemalloc
from functools import partial
from itertools import count, cycle, islice, repeat

import numpy as np
import pytest
from conftest import ROOT, run_alone
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.check_generator import check_generator
from train import csv_image_generator

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (245, 4, 4, 3)).astype("float32")
CLASSES, NUMBERS = RNG.integers(0, 5, 245), RNG.normal(size=245)
ONE_HOT, SEVERAL = np.eye(5)[CLASSES], RNG.integers(0, 2, (245, 3))
FORMS = [
    lambda x, y: (x, y),
    lambda x, y: ({"left": x, "right": -x}, y),
    lambda x, y: ((x, x), {"first": y, "second": y}, np.arange(len(x))),
]


def passes(rows, bs, full=False, seed=None, keep=False):
    """Yield the numbers of each batch's rows; keep: forget to empty the leftovers."""
    left, rng = [], np.random.default_rng(seed)
    while True:
        left = [*left, *(range(rows) if seed is None else rng.permutation(rows))]
        while len(left) >= bs or (left and not full):
            yield left[:bs]
            if keep and len(left) < bs:
                break
            left = left[bs:]


def dropping(rows, bs):
    return (k for k in passes(rows, bs) if len(k) == bs)


def at_random(rows, bs):
    return (np.random.default_rng(k).integers(0, rows, bs) for k in count())


WRONG_ROWS = [
    (lambda rows, bs: repeat(range(bs)), "all 18 batches hold the same 32 of 245 rows"),
    (
        lambda n, bs: (range(k, min(k + bs, n)) for k in cycle(range(n))),
        "only 49 of 245",
    ),
    (lambda *n: (k[-1:] for k in dropping(*n)), "only 7 of 245 rows come, one 3 times"),
    (at_random, "rows come again before all have come, one 8 times in 18 batches "),
    (dropping, "only 224 of 245 rows come, one 3 times in 18 batches "),
    (partial(passes, keep=True), "rows come again before all have come, one 4 times"),
]


def maker(numbers, images=IMAGES, targets=ONE_HOT, form=FORMS[0]):
    """Return a function that makes a new generator of batches of these rows."""
    return lambda: (form(images[[*k]], targets[[*k]]) for k in numbers())


in_order = partial(passes, 245, 32)
right = maker(in_order)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("wrong", "text"), WRONG_ROWS)
def test_wrong_rows(capsys, wrong, text, form):
    for targets in (ONE_HOT, NUMBERS):
        make = maker(partial(wrong, 245, 32), IMAGES, targets, form)
        [line] = check_generator(make, 8, 245)
        assert line.startswith(text)
        assert f"[WARNING] {line}\n" in capsys.readouterr().out


def test_a_row_twice_in_the_data_is_named_as_a_possible_cause():
    rows = [*range(244), 0]
    make = maker(in_order, IMAGES[rows], ONE_HOT[rows])
    for line in (*check_generator(make, 8, 245), *check_generator(make, 8)):
        assert "(identical rows count as one)" in line


WRONG_BATCHES = [
    (lambda x, y: [x, y], "a list, no tuple of two or three: yield inputs, targets"),
    (lambda x, y: (x,), "a tuple, no tuple of two or three"),
    (lambda x, y: (x[:0], y[:0]), "rows: inputs 0, targets 0; "),
    (
        lambda x, y: (x, {"a": y, 1: y[1:]}),
        "rows: inputs 32, targets a 32, targets 1 31",
    ),
    (
        lambda x, y: (x[:, 1:], y),
        "inputs: a row has the shape (3, 4, 3), others (4, 4, ",
    ),
    (lambda x, y: (x, np.full(32, "rose")), "targets: 'rose' is no number; "),
    (lambda x, y: ((x, None), y), "inputs 1: 'None' is no number; "),
    (lambda x, y: (x, y - np.inf), "targets: nan or inf, "),
    (lambda x, y: {}["rose"], "raised KeyError('rose')"),
    (lambda x, y: int("x"), "invalid literal for int() with base 10: 'x'"),
]


@pytest.mark.parametrize(("spoil", "text"), WRONG_BATCHES)
def test_a_wrong_batch(spoil, text):
    def generate(wrong=3):
        for number, batch in enumerate(right(), start=1):
            yield spoil(*batch) if number == wrong else batch

    [line] = check_generator(generate, 8, 245)
    assert line.startswith(f"batch 3: {text}")
    assert check_generator(right, 8, 245, lambda: islice(generate(), 2)) == []
    [line] = check_generator(right, 8, 245, partial(generate, 2))
    assert line.startswith(f"validation batch 2: {text}")


def test_a_generator_that_ends_or_is_none():
    for batches in (0, 8, 17):
        [line] = check_generator(partial(islice, right(), batches), 8, 245)
        assert line.startswith(f"the generator ends after {batches} batches, and fit ")
    for wrong in (right(), None, lambda: None):
        assert check_generator(wrong, 8)[0].startswith("batch 1: raised TypeError(")
    assert check_generator(right, 0)[0].startswith("steps is 0")


def test_batches_that_change_after_the_yield():
    def refill(images, batch):
        for first in cycle(range(0, 224, 32)):
            batch[:] = images[first : first + 32]
            yield batch, batch[:, 0]

    def divide(images, _):
        for first in cycle(range(0, 224, 32)):
            images[first : first + 32] /= 255
            yield images[first : first + 32], NUMBERS[first : first + 32]

    for wrong in (refill, divide):
        [line] = check_generator(partial(wrong, IMAGES.copy(), IMAGES[:32].copy()), 7)
        assert line.startswith("a batch changed after it was yielded: yield a new")


@pytest.mark.parametrize("targets", [ONE_HOT, CLASSES, CLASSES[:, None] * 1.0])
def test_rows_sorted_by_class(targets):
    order = CLASSES.argsort()
    make = maker(partial(in_order, full=True), IMAGES[order], targets[order])
    [line] = check_generator(make, 7, 245)
    assert line.startswith(
        "targets: a batch holds 1.6 of 5 classes, but would hold 5.0 "
    )


def test_validation_that_differs():
    unit, both = IMAGES / 255, "{} in training, {} in validation; scale both"
    few, negative = np.minimum(CLASSES, 3), unit * 2 - 1
    for images, targets, other_images, other_targets, text in [
        (unit, few, IMAGES, few, both.format("0 to 1", "0 to 255")),
        (IMAGES, few, unit, few, both.format("0 to 255", "0 to 1")),
        (unit, few, negative, few, both.format("0 to 1", "-1 to 1")),
        (negative, few, unit, few, both.format("-1 to 1", "0 to 1")),
        (unit, NUMBERS, unit, NUMBERS * 99, "targets: -2.99112 to 3.13822 in training"),
        (unit, few, unit, CLASSES, "validation has rows of the classes {4}, training"),
    ]:
        make = maker(in_order, images, targets)
        other = maker(partial(passes, 99, 32), images, targets)
        assert check_generator(make, 8, 245, other) == []
        other = maker(in_order, other_images, other_targets)
        assert text in check_generator(make, 8, 245, other)[0]


@pytest.mark.parametrize(("mode", "steps"), [("train", 3), ("eval", 3), ("eval", 4)])
def test_the_projects_own_generator(pair, capsys, mode, steps):
    lb = LabelBinarizer().fit(["rose", "iris", "lily"])
    make, test = [partial(csv_image_generator, path, 12, lb, mode) for path in pair]
    assert check_generator(make, steps, 40, test) == []
    assert "40 different rows, in the same order" in capsys.readouterr().out
    aug = ImageDataGenerator(horizontal_flip=True, brightness_range=(0.8, 1.2))
    make = partial(csv_image_generator, pair[0], 12, lb, "train", aug)
    assert check_generator(make, steps) == []
    assert "different rows, but rows=40: " in check_generator(make, steps, 40)[0]


def test_other_right_generators():
    flow = ImageDataGenerator().flow
    assert check_generator(lambda: flow(IMAGES, ONE_HOT, 32), 8, 245) == []
    rare = np.eye(2)[(np.arange(1000) % 700 == 3).astype(int)]  # two rows
    for bs in (2, 32):
        make = maker(partial(passes, 1000, bs), RNG.normal(size=(1000, 2)), rare)
        assert check_generator(make, 1000 // bs, 1000, make) == []
    whole, others = [maker(in_order, IMAGES, np.arange(245.0) + k) for k in (0, 300)]
    assert check_generator(whole, 8, 245, others) == []


@st.composite
def data(draw, least):
    """Draw rows, a batch size, steps, and images and targets in one of the forms."""
    bs = draw(st.integers(least, 20))
    rows = draw(st.integers(least * bs, 80))
    steps = draw(st.sampled_from([rows // bs, -(-rows // bs)]))
    images = IMAGES[:rows] - draw(st.sampled_from([0, 99]))
    targets = draw(st.sampled_from([ONE_HOT, CLASSES, NUMBERS, SEVERAL, IMAGES > 99]))
    return rows, bs, steps, images, targets, draw(st.sampled_from(FORMS))


@given(data(1), st.booleans(), st.sampled_from([None, 0, 1]), st.booleans())
def test_no_line_on_right_generators(drawn, full, seed, counted):
    rows, bs, steps, *parts = drawn
    make = maker(partial(passes, rows, bs, full, seed), *parts)
    assert check_generator(make, steps, rows if counted else None) == []


@given(data(3), st.integers(0, 5))
def test_a_line_on_wrong_generators(drawn, k):
    rows, bs, steps, *parts = drawn
    lines = check_generator(
        maker(partial(WRONG_ROWS[k][0], rows, bs), *parts), steps, rows
    )
    assert lines or (k in (4, 5) and rows % bs == 0)  # no leftovers


def test_it_holds_hashes_and_a_few_batches():
    batches = (np.full((32, 64, 64, 3), k, "float32") for k in count())
    tracemalloc.start()
    assert check_generator(lambda: ((x, x[:, 0, 0]) for x in batches), 50, 99) != []
    assert tracemalloc.get_traced_memory()[1] < 8 * 32 * 64 * 64 * 3 * 4
    tracemalloc.stop()


def test_it_works_alone_changes_nothing_and_can_be_interrupted(tmp_path):
    shutil.copy(ROOT / "pyimagesearch" / "check_generator.py", tmp_path)
    code = """
import numpy as np
from check_generator import check_generator
x = np.arange(12.0)
x.flags.writeable = False
def make(passes=9):
    for half in [x[:6], x[6:]] * passes:
        yield half, half
    raise KeyboardInterrupt
assert check_generator(make, 2, 12, make) == []
try:
    check_generator(lambda: make(1), 2)
except KeyboardInterrupt:
    x = None
assert x is None
"""
    run_alone(tmp_path, code)
