"""What csv_image_generator promises, over a grid of row counts and batch sizes."""

import inspect
import shutil
import subprocess
import sys
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from conftest import ROOT, csv_bytes, make_rows
from sklearn.preprocessing import LabelBinarizer
from tensorflow import keras

from train import build_validation_data, csv_image_generator

LABELS = ["rose", "iris", "lily"]
LB = LabelBinarizer().fit(LABELS)


@pytest.fixture
def rows_csv(tmp_path):
    """A function that writes n rows and returns the path, the images and the labels."""

    def write(n):
        rows = make_rows([LABELS[k % 3] for k in range(n)])
        path = tmp_path / f"{n}.csv"
        path.write_bytes(csv_bytes(rows))
        one_hot = np.array([LB.classes_ == label for label, _ in rows], dtype="float32")
        return path, np.array([image for _, image in rows], dtype="float32"), one_hot

    return write


@pytest.mark.parametrize("bs", [1, 2, 3, 4, 6, 7, 50])
@pytest.mark.parametrize("n", [1, 2, 6, 7])
def test_train_batches_are_full_and_go_round_the_file(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    batches = list(islice(csv_image_generator(path, bs, LB), 2 * n + 1))
    wanted = np.arange((2 * n + 1) * bs) % n
    assert all(len(batch) == len(one_hot) == bs for batch, one_hot in batches)
    np.testing.assert_array_equal(
        np.concatenate([b for b, _ in batches]), images[wanted]
    )
    np.testing.assert_array_equal(
        np.concatenate([o for _, o in batches]), labels[wanted]
    )


@pytest.mark.parametrize("bs", [1, 2, 3, 4, 6, 7, 50])
@pytest.mark.parametrize("n", [1, 2, 6, 7])
def test_each_eval_pass_gives_each_row_once_in_order(rows_csv, n, bs):
    path, images, labels = rows_csv(n)
    steps = -(-n // bs)
    generator = csv_image_generator(path, bs, LB, mode="eval")
    for _ in range(3):
        batches = list(islice(generator, steps))
        assert min(len(batch) for batch, _ in batches) > 0
        np.testing.assert_array_equal(np.concatenate([b for b, _ in batches]), images)
        np.testing.assert_array_equal(np.concatenate([o for _, o in batches]), labels)


def test_batches_are_float32_unscaled_and_one_hot(rows_csv):
    path, images, _ = rows_csv(6)
    batch, one_hot = next(csv_image_generator(path, 6, LB))
    assert batch.dtype == one_hot.dtype == "float32"
    assert batch.shape == (6, 64, 64, 3)
    assert one_hot.shape == (6, 3)
    assert batch.max() == images.max() > 1
    np.testing.assert_array_equal(one_hot.sum(axis=1), 1)


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


def test_aug_changes_each_training_batch_once(rows_csv):
    path, images, _ = rows_csv(6)
    aug = CountingAug()
    batches = list(islice(csv_image_generator(path, 3, LB, aug=aug), 2))
    assert aug.calls == 2
    np.testing.assert_array_equal(np.concatenate([b for b, _ in batches]), images + 1)


def test_aug_is_not_used_in_eval_mode(rows_csv):
    path, images, _ = rows_csv(6)
    aug = CountingAug()
    batch, _ = next(csv_image_generator(path, 6, LB, "eval", aug))
    assert aug.calls == 0
    np.testing.assert_array_equal(batch, images)


def test_it_closes_the_file_when_it_is_closed(rows_csv):
    path, _, _ = rows_csv(2)
    generator = csv_image_generator(path, 1, LB)
    next(generator)
    csv_file = generator.gi_frame.f_locals["csv_file"]
    generator.close()
    assert csv_file.closed


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


@pytest.mark.parametrize(
    "forgiven",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xef\xbb\xbf\n" + text,
        lambda text: b"\n \n" + text.replace(b"\n", b"\n\n\r\n") + b"\n\n",
        lambda text: text.replace(b",", b" , "),
        lambda text: text.rstrip(b"\n"),
    ],
    ids=["CRLF", "mark", "mark-blank", "blank-lines", "spaces", "no-newline"],
)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_harmless_differences_are_forgiven(rows_csv, forgiven, mode):
    path, images, labels = rows_csv(4)
    path.write_bytes(forgiven(path.read_bytes()))
    generator = csv_image_generator(path, 4, LB, mode)
    for _ in range(2):
        batch, one_hot = next(generator)
        np.testing.assert_array_equal(batch, images)
        np.testing.assert_array_equal(one_hot, labels)


def test_a_mistake_names_the_file_and_the_line(rows_csv):
    path, _, _ = rows_csv(3)
    path.write_bytes(path.read_bytes() + b"\nrose,1,2,3\n")
    with pytest.raises(ValueError, match=r"3\.csv, line 5: 3 values instead of 12,288"):
        next(csv_image_generator(path, 4, LB))


def test_an_unknown_label_is_an_error_not_a_row_of_zeros(write_csv):
    path = write_csv("new.csv", ["rose", "orchid"])
    with pytest.raises(ValueError, match="line 2: 'orchid'"):
        next(csv_image_generator(path, 2, LB))


@pytest.mark.parametrize("text", [b"", b"\n\r\n  \n"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_file_without_rows_is_an_error(tmp_path, text, mode):
    path = tmp_path / "none.csv"
    path.write_bytes(text)
    with pytest.raises(ValueError, match="none.csv: no rows"):
        next(csv_image_generator(path, 2, LB, mode))


@pytest.mark.parametrize("bs", [0, -1])
def test_a_batch_size_below_one_is_an_error(rows_csv, bs):
    with pytest.raises(ValueError, match=str(bs)):
        next(csv_image_generator(rows_csv(1)[0], bs, LB))


def test_a_third_mode_is_an_error(rows_csv):
    with pytest.raises(ValueError, match="'test'"):
        next(csv_image_generator(rows_csv(1)[0], 1, LB, mode="test"))


class RowRecorder(keras.Model):
    """Learns nothing, and records the rows it is given, training and testing."""

    def __init__(self):
        super().__init__()
        self.trained, self.tested = [], []

    def train_step(self, data):
        self.trained += [row.tobytes() for row in data[0].numpy()]
        return {"loss": 0.0}

    def test_step(self, data):
        self.tested += [row.tobytes() for row in data[0].numpy()]
        return {"loss": 0.0}


@pytest.mark.parametrize("bs", [2, 3, 4, 7, 50])
def test_each_validation_sees_each_row_once_in_order(rows_csv, bs):
    path, images, _ = rows_csv(12)
    rows = [image.tobytes() for image in images]
    model = RowRecorder()
    model.compile(loss="mse", run_eagerly=True)
    epochs = 4
    model.fit(
        csv_image_generator(path, 5, LB),
        steps_per_epoch=2,
        validation_data=build_validation_data(path, bs, LB),
        validation_steps=-(-12 // bs),
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    assert model.tested == rows * epochs
    assert model.trained == (rows * 4)[: 10 * epochs]


def test_it_can_be_lifted_out_with_csv_rows_and_numpy_alone(rows_csv, tmp_path):
    path, images, _ = rows_csv(3)
    shutil.copy(ROOT / "pyimagesearch" / "csv_rows.py", tmp_path)
    (tmp_path / "lifted.py").write_text(
        "import sys\n"
        "hidden = 'tensorflow keras sklearn matplotlib scipy pyimagesearch PIL'\n"
        "sys.modules |= dict.fromkeys(hidden.split())  # importing them fails\n"
        "import numpy as np\n"
        "from csv_rows import parse_row\n"
        + inspect.getsource(csv_image_generator)
        + "class lb: classes_ = ['iris', 'lily', 'rose']\n"
        f"batch, _ = next(csv_image_generator({str(path)!r}, 3, lb, 'eval'))\n"
        "np.save('batch.npy', batch)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", RUN_LIFTED], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "batch.npy"), images)


# -I keeps the project out of the way, and so the folder has to be named.
RUN_LIFTED = "import sys; sys.path.insert(0, '.'); import lifted"
