"""What csv_image_generator promises, over a grid of row counts and batch sizes."""

import gc
import inspect
import math
import tracemalloc
from functools import partial
from itertools import islice

import numpy as np
import pytest
from conftest import Recorder, cached_csv, error_of, make_rows, run_alone
from sklearn.preprocessing import LabelBinarizer
from tensorflow import keras

from pyimagesearch import csv_rows
from pyimagesearch.csv_rows import read_rows
from train import as_validation_data, build_augmenter, csv_image_generator

LABELS = ["rose", "iris", "lily"]
LB = LabelBinarizer().fit(LABELS)


@pytest.fixture
def rows_csv(write_csv):
    """A function that writes n rows and returns the path, the images and the labels."""

    def write(n):
        labels = [LABELS[k % 3] for k in range(n)]
        images = np.array([image for _, image in make_rows(labels)], "float32")
        one_hot = np.array([LB.classes_ == label for label in labels], "float32")
        return write_csv(f"{n}.csv", labels), images, one_hot

    return write


def check(batches, images, labels):
    """Check that the batches hold these rows, in this order, as float32."""
    for arrays, wanted in zip(zip(*batches), (images, labels), strict=True):
        assert {array.dtype.name for array in arrays} == {"float32"}
        np.testing.assert_array_equal(np.concatenate(arrays), wanted)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("n", [1, 2, 6, 7])
@pytest.mark.parametrize("bs", [1, 2, 3, 4, 6, 7, 50])
def test_each_pass_gives_each_row_once_in_order(rows_csv, mode, n, bs):
    path, images, labels = rows_csv(n)
    one_pass = [bs] * (n // bs) + [n % bs] * (n % bs > 0)
    sizes = one_pass * 3 if mode == "eval" else [bs] * (n + 2)
    batches = list(islice(csv_image_generator(path, bs, LB, mode), len(sizes)))
    assert [len(batch) for batch, _ in batches] == sizes
    wanted = np.arange(sum(sizes)) % n
    check(batches, images[wanted], labels[wanted])


class MirrorBoth:
    """An aug for a target that moves with the picture: mirrors one, negates the other."""

    def flow(self, images, labels, batch_size):
        assert len(images) == batch_size
        yield images[:, :, ::-1], -labels


@pytest.mark.parametrize(("mode", "sign"), [("train", -1), ("eval", 1)])
def test_aug_changes_each_training_batch_once(rows_csv, mode, sign):
    path, images, labels = rows_csv(6)
    batches = islice(csv_image_generator(path, 3, LB, mode, MirrorBoth()), 2)
    check(batches, images[:, :, ::sign], labels * sign)


def test_closing_it_closes_the_file(rows_csv, monkeypatch):
    files, open_file = [], open
    note = lambda path, **options: files.append(open_file(path, **options)) or files[-1]
    monkeypatch.setattr(csv_rows, "open", note, raising=False)
    every_third = lambda path: islice(read_rows(path), 1, None, 3)
    generator = csv_image_generator(rows_csv(7)[0], 1, LB, read_rows=every_third)
    next(generator)
    assert [csv_file.closed for csv_file in files] == [False]
    generator.close()
    assert files[0].closed


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_pass_without_rows_is_an_error_not_a_hang(rows_csv, mode):
    path, _, _ = rows_csv(3)
    passes = iter([list(read_rows(path)), []])
    read = lambda path: next(passes)
    generator = csv_image_generator(path, 2, LB, mode, read_rows=read)
    assert error_of(list, generator) == f"{path}: no rows"


def peak_memory(generator, batches):
    """Return the most bytes in use while a generator yields so many batches."""
    tracemalloc.start()
    list(map(len, islice(generator, batches)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_its_memory_grows_neither_with_the_file_nor_with_classes_squared(rows_csv):
    generators = (csv_image_generator(rows_csv(n)[0], 8, LB) for n in (32, 320))
    few, many = map(peak_memory, generators, (4, 40))
    assert many < 1.05 * few
    lb = LabelBinarizer().fit([f"{k:05}" for k in range(20_000)])
    read = lambda path: (("", name, np.zeros((1, 1, 1))) for name in lb.classes_)
    generator = csv_image_generator("", 32, lb, read_rows=read)
    assert peak_memory(generator, 3) < 15e6  # the identity matrix has 1,600 MB


def test_augmented_batches_are_freed_at_once(rows_csv):
    generator = csv_image_generator(rows_csv(7)[0], 2, LB, aug=build_augmenter())
    alive = lambda: sum("NumpyArrayIterator" in str(type(o)) for o in gc.get_objects())
    gc.collect()
    before = alive()
    gc.disable()  # or Python's collector would come by
    next(generator), next(generator)
    after = alive()
    gc.enable()
    assert after == before


@pytest.mark.parametrize("n", [0, 3])  # no question about a header in the first row
@pytest.mark.parametrize("row", [b"rose,1,2", cached_csv(("orchid",), 0)])
def test_a_bad_row_is_an_error_that_names_its_place(rows_csv, n, row):
    path, _, _ = rows_csv(n)
    path.write_bytes(path.read_bytes() + b"\n" + row)
    message = error_of(next, csv_image_generator(path, 4, LB))
    assert message.startswith(f"{path}, line {n + 2} (")
    wrong = "(64, 64, 3)", "): 'orchid' is not a label that lb knows"
    assert message.endswith(wrong[b"orchid" in row])


@pytest.mark.parametrize(("bs", "mode"), [(0, "train"), (-1, "eval"), (1, "test")])
def test_a_batch_size_below_one_or_a_third_mode_is_an_error(bs, mode):
    message = f"bs is {bs}, but a batch holds" if bs < 1 else f"mode is {mode!r}, not"
    with pytest.raises(ValueError, match=message):
        next(csv_image_generator("x.csv", bs, LB, mode))


@pytest.mark.parametrize(("n", "bs"), [(12, 2), (12, 5), (7, 4), (6, 7), (1, 3)])
def test_each_validation_sees_each_row_once_in_order(rows_csv, n, bs):
    (path, images, _), model = rows_csv(n), Recorder()
    make_generator = partial(csv_image_generator, path, bs, LB, mode="eval")
    options = {"steps_per_epoch": 2, "epochs": 4, "shuffle": False}
    options["validation_data"] = as_validation_data(make_generator)
    model.fit(make_generator(), validation_steps=math.ceil(n / bs), **options)
    assert len(model.tested) == 4
    for batches in model.tested:
        np.testing.assert_array_equal(np.concatenate(batches), images)


def test_validation_data_may_be_dicts_tuples_weights_and_numbers():
    def make_generator():
        for n in (3, 3, 1):
            targets = np.eye(n, 2, dtype="float32"), {"number": np.arange(n) / 2}
            yield {"a": np.ones((n, 4))}, targets, np.arange(n, dtype="int64")

    dataset = as_validation_data(make_generator)
    for _ in range(2):
        found, wanted = list(dataset.as_numpy_iterator()), list(make_generator())
        np.testing.assert_equal(found, wanted)
        dtypes = [[a.dtype for a in keras.tree.flatten(b)] for b in (found, wanted)]
        assert dtypes[0] == dtypes[1]


def test_it_can_be_lifted_out_with_csv_rows_and_numpy_alone(rows_csv, tmp_path):
    path, images, _ = rows_csv(3)
    code = f"""
sys.modules["PIL"] = None
import numpy as np
from csv_rows import read_rows
{inspect.getsource(csv_image_generator)}
class lb: classes_ = ["iris", "lily", "rose"]
batch, _ = next(csv_image_generator({str(path)!r}, 3, lb, "eval"))
np.save("batch.npy", batch)
"""
    run_alone(tmp_path, code)
    np.testing.assert_array_equal(np.load(tmp_path / "batch.npy"), images)
