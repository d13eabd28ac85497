"""What csv_image_generator promises, over a grid of row counts and batch sizes."""

import inspect
import math
import shutil
import subprocess
import sys
import tracemalloc
from itertools import chain, islice

import numpy as np
import pytest
from conftest import ROOT, Recorder, cached_csv, make_rows
from sklearn.preprocessing import LabelBinarizer

from pyimagesearch import csv_rows
from pyimagesearch.csv_rows import read_rows
from train import build_validation_data, csv_image_generator

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


every_size = pytest.mark.parametrize("bs", [1, 2, 2.5, 3, 4, 6, 7, 50])
every_count = pytest.mark.parametrize("n", [1, 2, 6, 7])


def check(batches, images, labels):
    """Check that the batches hold these rows, in this order, as float32."""
    for arrays, wanted in zip(zip(*batches), (images, labels), strict=True):
        assert {array.dtype.name for array in arrays} == {"float32"}
        np.testing.assert_array_equal(np.concatenate(arrays), wanted)


@every_size
@every_count
def test_train_batches_are_full_and_go_round_the_file(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    batches = list(islice(csv_image_generator(path, bs, LB), 2 * n + 1))
    full = math.ceil(bs)
    assert {len(batch) for batch, _ in batches} == {full}
    wanted = np.arange((2 * n + 1) * full) % n
    check(batches, images[wanted], labels[wanted])


@every_size
@every_count
def test_each_eval_pass_gives_each_row_once_in_order(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    steps = math.ceil(n / math.ceil(bs))
    generator = csv_image_generator(path, bs, LB, mode="eval")
    for _ in range(3):
        batches = list(islice(generator, steps))
        assert min(len(batch) for batch, _ in batches) > 0
        check(batches, images, labels)


def test_two_classes_have_two_columns(write_csv):
    path = write_csv("two.csv", ["no", "yes", "yes"])
    _, one_hot = next(csv_image_generator(path, 3, LabelBinarizer().fit(["yes", "no"])))
    np.testing.assert_array_equal(one_hot, [[1, 0], [0, 1], [0, 1]])


class CountingAug:
    """Stands in for an ImageDataGenerator: adds 1 and counts its calls."""

    calls = 0

    def flow(self, images, labels, batch_size):
        self.calls += 1
        assert len(images) == batch_size
        yield images + 1, labels


@pytest.mark.parametrize(("mode", "calls"), [("train", 2), ("eval", 0)])
def test_aug_is_applied_once_per_training_batch(rows_csv, mode, calls):
    path, images, labels = rows_csv(6)
    aug = CountingAug()
    batches = islice(csv_image_generator(path, 3, LB, mode, aug), 2)
    check(batches, images + (mode == "train"), labels)
    assert aug.calls == calls


def every_third_row(path):
    return islice(read_rows(path), 1, None, 3)


@pytest.mark.parametrize("reader", [read_rows, every_third_row])
def test_closing_it_closes_the_file(rows_csv, reader, monkeypatch):
    files, opened = [], open
    record = lambda *args: files.append(opened(*args)) or files[-1]
    monkeypatch.setattr(csv_rows, "open", record, raising=False)
    path, _, _ = rows_csv(7)
    generator = csv_image_generator(path, 1, LB, read_rows=reader)
    next(generator)
    assert [csv_file.closed for csv_file in files] == [False]
    generator.close()
    assert files[0].closed


def test_a_share_of_the_rows(rows_csv):
    path, images, labels = rows_csv(7)
    batches = csv_image_generator(path, 2, LB, read_rows=every_third_row)
    check(islice(batches, 2), images[[1, 4] * 2], labels[[1, 4] * 2])
    batches = csv_image_generator(path, 9, LB, "eval", read_rows=every_third_row)
    check([next(batches)], images[[1, 4]], labels[[1, 4]])


def test_two_files_one_after_the_other(rows_csv):
    first, images, labels = rows_csv(3)
    second, more_images, more_labels = rows_csv(2)
    read_all = lambda paths: chain(*map(read_rows, paths))
    generator = csv_image_generator([first, second], 5, LB, read_rows=read_all)
    check(
        islice(generator, 2), [*images, *more_images] * 2, [*labels, *more_labels] * 2
    )


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
        for _ in islice(csv_image_generator(path, 8, LB), n // 8):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(320) < 1.05 * peak(32)


def test_harmless_differences_are_forgiven(rows_csv):
    path, images, labels = rows_csv(4)
    text = path.read_bytes()
    for forgiven in (
        text.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + text,
        b"\xef\xbb\xbf\n" + text,
        b"\n \n" + text.replace(b"\n", b"\n\n\r\n") + b"\n\n",
        text.replace(b",", b" , "),
        text.rstrip(b"\n"),
    ):
        path.write_bytes(forgiven)
        batches = islice(csv_image_generator(path, 4, LB), 2)
        check(batches, [*images] * 2, [*labels] * 2)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (b"rose,1,2,3\n", "3 values after 'rose' instead of"),
        (cached_csv(("orchid",), 0), "'orchid' is not a label that lb knows"),
    ],
)
def test_a_bad_row_is_an_error_that_names_the_file_and_the_line(rows_csv, row, wrong):
    path, _, _ = rows_csv(3)
    path.write_bytes(path.read_bytes() + b"\n" + row)
    with pytest.raises(ValueError, match=f"3.csv, line 5: {wrong}"):
        next(csv_image_generator(path, 4, LB))


@pytest.mark.parametrize(("bs", "mode"), [(0, "train"), (0.5, "eval"), (1, "test")])
def test_a_batch_size_below_one_or_a_third_mode_is_an_error(rows_csv, bs, mode):
    with pytest.raises(ValueError, match=f"(bs is {bs}|mode is '{mode}'),"):
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


def test_it_can_be_lifted_out_with_csv_rows_and_numpy_alone(rows_csv, tmp_path):
    path, images, _ = rows_csv(3)
    shutil.copy(ROOT / "pyimagesearch" / "csv_rows.py", tmp_path)
    code = f"""
import sys
hidden = "tensorflow keras sklearn matplotlib scipy pyimagesearch PIL"
sys.modules |= dict.fromkeys(hidden.split())  # importing them fails
sys.path.insert(0, ".")
import numpy as np
from csv_rows import read_rows
{inspect.getsource(csv_image_generator)}
class lb: classes_ = ["iris", "lily", "rose"]
batch, _ = next(csv_image_generator({str(path)!r}, 3, lb, "eval"))
np.save("batch.npy", batch)
"""
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "batch.npy"), images)
