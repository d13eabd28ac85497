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
UNIT, NUMBERS = RNG.integers(0, 256, (245, 4, 4, 3)) / 255, RNG.normal(size=245)
CLASSES, SEVERAL = RNG.integers(0, 5, 245), RNG.integers(0, 2, (245, 3))
IMAGES, ONE_HOT, FEW = UNIT * 255, np.eye(5)[CLASSES], np.minimum(CLASSES, 3)
FORMS = [
    lambda x, y: (x, y),
    lambda x, y: ({"left": x, "right": -x}, y),
    lambda x, y: ((x, x), {"first": y, "second": y}, np.arange(len(x))),
]


def passes(n, bs, full=False, seed=None, keep=False):
    """Yield the numbers of each batch's rows; keep: forget to empty the leftovers."""
    left, rng = [], np.random.default_rng(seed)
    while True:
        left = [*left, *(range(n) if seed is None else rng.permutation(n))]
        while len(left) >= bs or (left and not full):
            yield left[:bs]
            if keep and len(left) < bs:
                break
            left = left[bs:]


def dropping(n, bs, seed=None):
    return (k for k in passes(n, bs, seed=seed) if len(k) == bs)


ONLY = "only {} of 245 rows were seen, one of them {} times (identical "
WRONG_ROWS = [
    (lambda n, bs: repeat(range(bs)), "all 18 batches hold the same 32 of 245 rows: "),
    (lambda n, bs: (range(n)[k : k + bs] for k in cycle(range(n))), "only 49 of 245"),
    (lambda n, bs: (k[-1:] for k in dropping(n, bs)), ONLY.format(7, 3)),
    (lambda n, bs: (RNG.integers(0, n, bs) for _ in count()), ""),
    (lambda n, bs: (np.array(k) % (n - 1) for k in passes(n, bs)), ONLY.format(244, 5)),
    (dropping, ONLY.format(224, 3)),
    (partial(passes, keep=True), "rows come again before all were seen, one of them 4"),
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
        assert len(check_generator(make, 7, 245)) == 1
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
    def generate(wrong=3):
        return (spoil(*b) if k == wrong else b for k, b in enumerate(right(), start=1))

    [line] = check_generator(generate, 8, 245)
    assert line.startswith(f"batch 3: {text}")
    assert check_generator(right, 8, 245, lambda: islice(generate(), 2)) == []
    [line] = check_generator(right, 8, 245, partial(generate, 2))
    assert line.startswith(f"validation batch 2: {text}")


def test_a_generator_that_ends_or_is_none():
    for batches in (0, 8, 17):
        [line] = check_generator(partial(islice, right(), batches), 8, 245)
        assert line.startswith(f"the generator ends after {batches} batches, and fit ")
    assert check_generator(right(), 8)[0].startswith("batch 1: raised TypeError(")
    assert check_generator(right, 0)[0].startswith("steps is 0")


@pytest.mark.parametrize("refill", [True, False])
def test_batches_that_change_after_the_yield(refill):
    def generate(images, batch):
        for first in cycle(range(0, 224, 32)):
            rows = images[first : first + 32]
            batch[:] = rows
            rows /= 1 if refill else 255
            yield batch if refill and first else rows, NUMBERS[first : first + 32]

    make = partial(generate, IMAGES.copy(), IMAGES[:32].copy())
    [line] = check_generator(make, 6, 224)
    assert line.startswith("a batch changed after it was yielded: yield a new array")


@pytest.mark.parametrize(("bs", "found"), [(32, "1.6 classes"), (4, "1.1 classes")])
@pytest.mark.parametrize("targets", [ONE_HOT, CLASSES, CLASSES[:, None] * 1.0])
def test_rows_sorted_by_class(targets, bs, found):
    numbers = lambda: (CLASSES.argsort()[k] for k in passes(245, bs, full=True))
    [line] = check_generator(maker(numbers, IMAGES, targets), 245 // bs, 245)
    wanted = "5.0" if bs == 32 else "2.9"
    text = f"targets: a batch holds {found} on average, but would hold {wanted} if"
    assert line.startswith(text)


SIGNED, BOTH = UNIT * 2 - 1, "inputs: {} to {} in training, {} to {} in validation; "
VALIDATION = [
    ((UNIT, FEW), (IMAGES, FEW), BOTH.format(0, 1, 0, 255)),
    ((IMAGES, FEW), (UNIT, FEW), BOTH.format(0, 255, 0, 1)),
    ((UNIT, FEW), (SIGNED, FEW), BOTH.format(0, 1, -1, 1)),
    ((SIGNED, FEW), (UNIT, FEW), BOTH.format(-1, 1, 0, 1)),
    ((UNIT, NUMBERS), (UNIT, NUMBERS * 99), "targets: -2.66412 to 3.13822 in training"),
    ((UNIT, FEW), (UNIT, CLASSES), "targets: validation has classes unknown in traini"),
    ((UNIT, FEW), (UNIT[:, 1:], FEW), "validation batch 1: inputs: rows of shape (3, "),
]


@pytest.mark.parametrize(("training", "validation", "text"), VALIDATION)
def test_validation_that_differs(training, validation, text):
    make, few = maker(in_order, *training), partial(passes, 99, 32)
    assert check_generator(make, 8, 245, maker(few, *training)) == []
    other, unknown = maker(in_order, *validation), "classes unknown" in text
    [line] = check_generator(make, 8, 245, other)
    assert line.startswith(text)
    # Rows of unknown classes may come later.
    assert len(check_generator(make, 1, 245, other)) == (not unknown)


PRINTED = [
    (ONE_HOT, "0 to 1, for categorical_crossentropy; rows per class in about a pass"),
    (CLASSES, "0 to 4, for sparse_categorical_crossentropy; rows per class in about"),
    (CLASSES > 1, "0 to 1, for binary_crossentropy; rows per class in about a pass"),
    (SEVERAL | [1, 0, 0], "0 to 1, for binary_crossentropy: several labels, or a mask"),
    (np.eye(4)[FEW] / 2 + 0.125, "0.125 to 0.625\n"),
]


@pytest.mark.parametrize(("targets", "text"), PRINTED)
def test_what_is_printed(capsys, targets, text):
    assert check_generator(maker(in_order, targets=targets), 2) == []
    output = capsys.readouterr().out
    assert f"[INFO] targets: {targets.dtype} {targets[:32].shape}, {text}" in output
    assert output.endswith("all 6 batches: 192 different rows, once\n")


@pytest.mark.parametrize(("mode", "steps"), [("train", 3), ("eval", 4)])
def test_the_projects_own_generator(pair, capsys, mode, steps):
    lb = LabelBinarizer().fit(["rose", "iris", "lily"])
    make, test = [partial(csv_image_generator, path, 12, lb, mode) for path in pair]
    assert check_generator(make, steps, 40, test) == []
    output = capsys.readouterr().out
    assert f"[INFO] epoch 2: {36 if mode == 'train' else 40} rows, " in output
    assert "40 different rows, in the same order" in output
    aug = ImageDataGenerator(horizontal_flip=True)
    make = partial(csv_image_generator, pair[0], 12, lb, "train", aug)
    assert check_generator(make, steps) == []
    assert "different rows, but rows=40: " in check_generator(make, steps, 40)[0]


RARE = np.eye(2)[(np.arange(1000) % 700 == 3).astype(int)]  # two rows
MANY = maker(partial(passes, 1000, 2), RNG.normal(size=(1000, 2)), RARE)
OTHERS = [
    (lambda: ImageDataGenerator().flow(IMAGES, ONE_HOT, 32), 8, 245),
    (MANY, 500, 1000, MANY),
    (maker(partial(passes, 245, 300, full=True)), 1),
    (maker(partial(dropping, 245, 32, seed=0)), 7, 245),
    (maker(partial(passes, 8, 4), IMAGES, np.repeat([0, 1], 4)), 40, 8),  # by chance
    (maker(in_order, IMAGES, RNG.integers(0, 5, 62).repeat(4)), 8, 245),  # in blocks
    (
        maker(in_order, IMAGES, np.arange(245.0)),
        8,
        245,
        maker(in_order, IMAGES, NUMBERS),
    ),
]


@pytest.mark.parametrize("arguments", OTHERS)
def test_other_right_generators(arguments):
    assert check_generator(*arguments) == []


TARGETS = st.sampled_from([ONE_HOT, CLASSES, NUMBERS, SEVERAL, UNIT > 0.5])
PARTS = st.tuples(st.sampled_from([IMAGES, SIGNED]), TARGETS, st.sampled_from(FORMS))
bools, bs = st.booleans(), st.integers(1, 20)


@given(PARTS, st.integers(1, 80), bs, bools, bools, st.sampled_from([None, 0]), bools)
def test_no_line_on_right_generators(parts, rows, bs, up, full, seed, counted):
    bs = min(bs, rows)
    make = maker(partial(passes, rows, bs, full, seed), *parts)
    assert not check_generator(
        make, (rows + bs * up - up) // bs, counted * rows or None
    )


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


def test_it_works_alone_and_changes_nothing(tmp_path):
    shutil.copy(ROOT / "pyimagesearch" / "check_generator.py", tmp_path)
    code = """
import numpy as np
from check_generator import check_generator
x = np.arange(12.0)
x.flags.writeable = False
assert check_generator(lambda: iter([(x[:6], x[:6]), (x[6:], x[6:])] * 3), 2, 12) == []
"""
    run_alone(tmp_path, code)
