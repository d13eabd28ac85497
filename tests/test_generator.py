"""What csv_image_generator promises, over a grid of row counts and batch sizes."""

import inspect
import math
import runpy
import tracemalloc
from itertools import chain, islice, product

import numpy as np
import pytest
from conftest import Recorder, cached_csv, make_rows, run_alone
from sklearn.preprocessing import LabelBinarizer

import train
from pyimagesearch import csv_rows
from pyimagesearch.csv_rows import read_rows
from train import build_validation_data, csv_image_generator

LABELS = ["rose", "iris", "lily"]
LB = LabelBinarizer().fit(LABELS)
GRID = [*product([1, 2, 6, 7], [1, 2, 3, 4, 6, 7, 50])]


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


@pytest.mark.parametrize(("n", "bs"), GRID)
def test_train_batches_are_full_and_go_round_the_file(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    batches = list(islice(csv_image_generator(path, bs, LB), 2 * n + 1))
    assert {len(batch) for batch, _ in batches} == {bs}
    wanted = np.arange((2 * n + 1) * bs) % n
    check(batches, images[wanted], labels[wanted])


@pytest.mark.parametrize(("n", "bs"), GRID)
def test_each_eval_pass_gives_each_row_once_in_order(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    steps = math.ceil(n / bs)
    generator = csv_image_generator(path, bs, LB, mode="eval")
    for _ in range(3):
        batches = list(islice(generator, steps))
        assert min(len(batch) for batch, _ in batches) > 0
        check(batches, images, labels)


class MirrorBoth:
    """An aug for a target that moves with the picture: mirrors one, negates the other."""

    calls = 0

    def flow(self, images, labels, batch_size):
        self.calls += 1
        assert len(images) == batch_size
        yield images[:, :, ::-1], -labels


@pytest.mark.parametrize(("mode", "sign", "calls"), [("train", -1, 2), ("eval", 1, 0)])
def test_aug_changes_each_training_batch_once(rows_csv, mode, sign, calls):
    path, images, labels = rows_csv(6)
    aug = MirrorBoth()
    batches = islice(csv_image_generator(path, 3, LB, mode, aug), 2)
    check(batches, images[:, :, ::sign], labels * sign)
    assert aug.calls == calls


def test_closing_it_closes_the_file(rows_csv, monkeypatch):
    files, opened = [], open
    record = lambda *args: files.append(opened(*args)) or files[-1]
    monkeypatch.setattr(csv_rows, "open", record, raising=False)
    every_third = lambda path: islice(read_rows(path), 1, None, 3)
    generator = csv_image_generator(rows_csv(7)[0], 1, LB, read_rows=every_third)
    next(generator)
    assert [csv_file.closed for csv_file in files] == [False]
    generator.close()
    assert files[0].closed


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_pass_without_rows_is_an_error_not_a_hang(rows_csv, mode):
    path, _, _ = rows_csv(2)
    passes = iter([list(read_rows(path)), []])
    read = lambda path: next(passes)
    generator = csv_image_generator(path, 2, LB, mode, read_rows=read)
    next(generator)
    with pytest.raises(ValueError, match="2.csv: no rows"):
        next(generator)


def test_its_memory_does_not_grow_with_the_file(rows_csv):
    def peak(n):
        path, _, _ = rows_csv(n)
        tracemalloc.start()
        list(map(len, islice(csv_image_generator(path, 8, LB), n // 8)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(320) < 1.05 * peak(32)


@pytest.mark.parametrize("n", [0, 3])  # no question about a header in the first row
@pytest.mark.parametrize("row", [b"rose,1,2", cached_csv(("orchid",), 0)])
def test_a_bad_row_is_an_error_that_names_its_place(rows_csv, n, row):
    path, _, _ = rows_csv(n)
    path.write_bytes(path.read_bytes() + b"\n" + row)
    wrong = "2 values instead of .* 64, 3.|'orchid' is not a label that lb knows"
    with pytest.raises(ValueError, match=rf"{path}, line {n + 2} .*: ({wrong})$"):
        next(csv_image_generator(path, 4, LB))


@pytest.mark.parametrize(("bs", "mode"), [(0, "train"), (-1, "eval"), (1, "test")])
def test_a_batch_size_below_one_or_a_third_mode_is_an_error(rows_csv, bs, mode):
    message = f"bs is {bs}, but a batch holds" if bs < 1 else f"mode is {mode!r}, not"
    with pytest.raises(ValueError, match=message):
        next(csv_image_generator(rows_csv(1)[0], bs, LB, mode))


@pytest.mark.parametrize("bs", [2, 3, 4, 7, 50])
def test_each_validation_sees_each_row_once_in_order(rows_csv, bs):
    path, images, _ = rows_csv(12)
    model = Recorder()
    model.fit(
        csv_image_generator(path, 5, LB),
        steps_per_epoch=2,
        validation_data=build_validation_data(path, bs, LB),
        validation_steps=math.ceil(12 / bs),
        epochs=4,
        shuffle=False,
    )
    for batches in model.tested:
        np.testing.assert_array_equal(np.concatenate(batches), images)
    trained = np.concatenate([*chain(*model.trained)])
    np.testing.assert_array_equal(trained, images[np.arange(40) % 12])


NUMBERS = ["0.1", "-2", "7", "1e3", "0"]  # the class names are sorted as text


@pytest.mark.parametrize("target", ["one_hot[label]", "float(label)"])
def test_validation_follows_another_reader_shape_and_target(tmp_path, target):
    wanted = NUMBERS if "float" in target else np.eye(5)[[2, 0, 4, 3, 1]]
    generator = inspect.getsource(csv_image_generator)
    assert "labels.append(one_hot[label])" in generator
    copy, validation = tmp_path / "copy.py", inspect.getsource(build_validation_data)
    copy.write_text(generator.replace("one_hot[label]", target) + validation)
    build = runpy.run_path(copy, vars(train))["build_validation_data"]
    rows = make_rows(NUMBERS, shape=(8, 8, 1))
    read = lambda path: ((path, label, image) for label, image in rows)
    dataset = build("no file", 2, LabelBinarizer().fit(NUMBERS), read_rows=read)
    for _ in range(2):  # each validation sees each row once
        batches = zip(*islice(dataset.as_numpy_iterator(), 3))
        images, targets = map(np.concatenate, batches)
        np.testing.assert_array_equal(images, [image for _, image in rows])
        np.testing.assert_array_equal(targets, np.array(wanted, "float"))


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
