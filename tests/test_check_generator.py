"""What check_generator says of wrong generators, and that it leaves right ones alone."""

import tracemalloc
from functools import partial
from itertools import chain, count, cycle, islice, repeat

import numpy as np
import pytest
from conftest import run_alone
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.check_generator import check_generator
from train import csv_image_generator

RNG, WHOLE = np.random.default_rng(0), np.arange(245)
UNIT, NUMBERS = RNG.integers(0, 256, (245, 4, 4, 3)) / 255, RNG.normal(size=245)
CLASSES, SEVERAL = RNG.integers(0, 5, 245), RNG.integers(0, 2, (245, 3))
IMAGES, ONE_HOT, FEW = UNIT * 255, np.eye(5)[CLASSES], np.minimum(CLASSES, 3)
SIGNED, ORDER = UNIT * 2 - 1, CLASSES.argsort()
FORMS = [
    lambda x, y: (x, y),
    lambda x, y: ({"left": x, "right": -x}, y),
    lambda x, y: ((x, x), {"first": y, "second": y}, np.arange(len(x))),
]


def passes(n, bs, rest="yielded", order=range):
    """Yield row numbers, bs at a time; rest says what happens to the last few."""
    left = []
    while True:
        left = [*left, *order(n)]
        while len(left) >= bs:
            yield left[:bs]
            left = left[bs:]
        if left and rest in ("yielded", "kept"):
            yield left
        left = left if rest in ("kept", "joined") else []


ONLY = "only {} of 245 rows were seen, one of them {} times (identical "
WRONG_ROWS = [
    (lambda n, bs: repeat(range(bs)), "all 18 batches hold the same 32 of 245 rows: "),
    (lambda n, bs: (range(n)[k : k + bs] for k in cycle(range(n))), "only 49 of 245"),
    (lambda n, bs: (k[-1:] for k in passes(n, bs, "dropped")), ONLY.format(7, 3)),
    (lambda n, bs: (RNG.integers(0, n, bs) for _ in count()), ""),
    (lambda n, bs: (np.array(k) % (n - 1) for k in passes(n, bs)), ONLY.format(244, 5)),
    (partial(passes, rest="dropped"), ONLY.format(224, 3)),
    (partial(passes, rest="kept"), "again before all were seen, one of them 4 times"),
]


def maker(numbers, images=IMAGES, targets=ONE_HOT, form=FORMS[0]):
    """Return a function that makes a new generator of batches of these rows."""
    return lambda: (form(images[[*k]], targets[[*k]]) for k in numbers())


in_order = partial(passes, 245, 32)
right = maker(in_order)


@pytest.mark.parametrize(("wrong", "text"), WRONG_ROWS)
def test_wrong_rows(capsys, wrong, text):
    make = maker(partial(wrong, 245, 32))
    [line] = check_generator(make, 8, 245)
    assert text in line and f"[WARNING] {line}\n" in capsys.readouterr().out
    assert text[:7] in ("only 7 ", "only 22", "only 24") or check_generator(make, 8)


WRONG_BATCHES = [
    (lambda x, y: [x, y], "list, not a tuple of 2 or 3: yield inputs, targets"),
    (lambda x, y: (x[:0], y[:0]), "numbers of rows: inputs 0, targets 0; "),
    (lambda x, y: ({"a": x}, y[1:]), "numbers of rows: inputs a 32, targets 31; "),
    (lambda x, y: (x[:, 1:], y), "inputs: rows of shape (3, 4, 3), earlier ones (4, "),
    (lambda x, y: (x, np.full(32, "rose")), "targets: 'rose' is not a number; "),
    (lambda x, y: ((x, None), y), "inputs 1: 'None' is not a number; "),
    (lambda x, y: (x, y - np.inf), "targets: nan or inf, "),
    (lambda x, y: {}["rose"], "raised KeyError('rose')"),
]


@pytest.mark.parametrize(("spoil", "text"), WRONG_BATCHES)
def test_a_wrong_batch(spoil, text):
    generate = lambda: (spoil(*b) if k == 2 else b for k, b in enumerate(right(), 1))
    [line] = check_generator(generate, 8)
    assert line.startswith(f"batch 2: {text}")
    assert check_generator(right, 8, 245, generate) == [f"validation {line}"]


def test_a_generator_that_ends_or_is_none_and_numbers_that_cannot_be():
    for batches in (0, 8, 17):
        [line] = check_generator(partial(islice, right(), batches), 8, 245)
        assert line.startswith(f"the generator ends after {batches} batches, and fit ")
    assert check_generator(right(), 8)[0].startswith("batch 1: raised TypeError('pass")
    assert check_generator(right, 0)[0].startswith("steps is 0")
    assert check_generator(right, 8, 244)[0].startswith("245 different rows, but ro")


@pytest.mark.parametrize("refilled", [IMAGES[:32].copy(), None])
def test_batches_that_change_after_the_yield(refilled):
    views = cycle(IMAGES[:224].copy().reshape(7, 32, 4, 4, 3))
    divide = lambda x: np.divide(x, 255, out=x if refilled is None else refilled)
    changing = ((divide(x), ONE_HOT[:32]) for x in views)
    [line] = check_generator(lambda: chain(islice(right(), 1), changing), 6)
    assert line.startswith("a batch changed after it was yielded: yield a new array")


BOTH = "inputs: {} to {} in training, {} to {} in validation; "
MEAN = "targets: a batch holds 1.1 classes on average, but would hold 2.9 if the rows"
WRONG_DATA = [
    ((UNIT, ONE_HOT[ORDER]), (UNIT, ONE_HOT), MEAN),
    ((UNIT, CLASSES[ORDER, None] * 1.0), (UNIT, CLASSES[:, None]), MEAN),
    ((UNIT, FEW), (IMAGES, FEW), BOTH.format(0, 1, 0, 255)),
    ((IMAGES, FEW), (UNIT, FEW), BOTH.format(0, 255, 0, 1)),
    ((UNIT, FEW), (SIGNED, FEW), BOTH.format(0, 1, -1, 1)),
    ((SIGNED, FEW), (UNIT, FEW), BOTH.format(-1, 1, 0, 1)),
    ((UNIT, NUMBERS), (UNIT, NUMBERS * 99), "targets: -2.66412 to 3.13822 in training"),
    ((UNIT, FEW), (UNIT, CLASSES), "targets: validation has classes unknown in traini"),
    ((UNIT, FEW), (UNIT[:, 1:], FEW), "validation batch 1: inputs: rows of shape (3, "),
]


@pytest.mark.parametrize(("training", "validation", "text"), WRONG_DATA)
def test_sorted_rows_and_validation_that_differs(training, validation, text):
    make, other = (maker(partial(passes, 245, 4), *x) for x in (training, validation))
    [line] = check_generator(make, 62, 245, other)
    assert line.startswith(text)


def test_what_is_printed(capsys):
    shuffled = partial(passes, 245, 32, order=RNG.permutation)
    for targets, text in (
        (ONE_HOT, "0 to 1, for categorical_crossentropy; rows per class in about a "),
        (CLASSES, "0 to 4, for sparse_categorical_crossentropy; rows per class in "),
        (CLASSES > 1, "0 to 1, for binary_crossentropy; rows per class in about a "),
        (SEVERAL | [1, 0, 0], "0 to 1, for binary_crossentropy: several labels, or"),
        (np.eye(4)[FEW] / 2 + 0.125, "0.125 to 0.625\n"),
        (WHOLE / 2, "0 to 122\n"),
    ):
        assert check_generator(maker(shuffled, targets=targets), 8) == []
        output = capsys.readouterr().out
        assert f"[INFO] targets: {targets.dtype} {targets[:32].shape}, {text}" in output
        assert "[INFO] epoch 2: 245 rows, 245 different\n" in output
        assert output.endswith("18 batches: 245 different rows, in another order\n")


def test_nothing_is_said_of_right_generators(pair):
    rare = maker(partial(passes, 1000, 2), np.arange(1000), np.arange(1000) % 700 == 3)
    lb = LabelBinarizer().fit(["rose", "iris", "lily"])
    train, test = (partial(csv_image_generator, path, 12, lb) for path in pair)
    for arguments in (
        (train, 3, 40, partial(test, mode="eval")),
        (partial(train, mode="eval"), 4, 40),
        (partial(train, aug=ImageDataGenerator(horizontal_flip=True)), 3),
        (lambda: ImageDataGenerator().flow(IMAGES, ONE_HOT, 32), 8, 245),
        (rare, 500, 1000, rare),
        (lambda: repeat((np.broadcast_to(1, (1, 4)), np.ones(1))), 1, 1),  # read-only
        (maker(partial(passes, 245, 300, "joined")), 1),
        (maker(partial(passes, 245, 32, "dropped", RNG.permutation)), 7, 245),
        (maker(partial(passes, 8, 8)), 2, 8),
        (maker(partial(passes, 8, 4), IMAGES, np.repeat([0, 1], 4)), 40, 8),
        (maker(in_order, targets=RNG.integers(0, 5, 62).repeat(4)), 8, 245),
        (maker(in_order, targets=WHOLE), 8, 245, maker(in_order, targets=WHOLE + 999)),
        (maker(in_order, targets=WHOLE), 8, 245, maker(in_order, targets=NUMBERS)),
        (maker(in_order, targets=FEW), 1, 245, maker(in_order, targets=CLASSES)),
        (right, 8, 245, lambda: chain(islice(right(), 2), "x")),  # two are looked at
    ):
        assert check_generator(*arguments) == []


TARGETS = st.sampled_from([ONE_HOT, CLASSES, NUMBERS, SEVERAL, UNIT > 0.5])
PARTS = st.tuples(st.sampled_from([IMAGES, SIGNED]), TARGETS, st.sampled_from(FORMS))
bools, bs = st.booleans(), st.integers(1, 20)
rests, orders = map(st.sampled_from, [["yielded", "joined"], [range, RNG.permutation]])


@given(PARTS, st.integers(1, 80), bs, bools, rests, orders, bools)
def test_no_line_on_right_generators(parts, rows, bs, up, rest, order, counted):
    bs = min(bs, rows)
    make = maker(partial(passes, rows, bs, rest, order), *parts)
    steps = (rows + bs * up - up) // bs
    assert check_generator(make, steps, rows if counted else None, make) == []


@given(PARTS, st.integers(9, 80), bs, bools, st.sampled_from(WRONG_ROWS))
def test_a_line_on_wrong_generators(parts, rows, bs, up, wrong):
    bs = max(3, min(bs, rows // 3))
    make = maker(partial(wrong[0], rows, bs), *parts)
    found = check_generator(make, (rows + bs * up - up) // bs, rows)
    assert found or (wrong in WRONG_ROWS[5:] and rows % bs == 0)


def test_it_holds_hashes_and_a_few_batches():
    tracemalloc.start()
    arrays = (np.full((32, 64, 64, 3), k, "float32") for k in count())
    check_generator(lambda: ((x, x[:, 0, 0]) for x in arrays), 50)
    assert tracemalloc.get_traced_memory()[1] < 8 * 32 * 64 * 64 * 3 * 4
    tracemalloc.stop()


def test_it_works_with_numpy_alone(tmp_path):
    code = """
from check_generator import check_generator
one = lambda: iter([([1], [2])])
assert check_generator(lambda: iter([*one()] * 4), 1, 1, one) == []
"""
    run_alone(tmp_path, code)
