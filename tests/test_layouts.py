"""Other layouts and shapes: change IMAGE_SHAPE and read_rows, and all promises stay."""

import inspect
import itertools
import os
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run_python
from PIL import Image

from pyimagesearch.csv_rows import InputError, parse_image, read_labels, read_lines


def label_first(path):
    for where, line in itertools.islice(read_lines(path), 1, None):
        label, _, values = line.partition(",")
        yield where, label.strip(), parse_image(values, where, (28, 28, 1))


def label_last(path):
    for where, line in itertools.islice(read_lines(path), 1, None):
        values, _, label = line.rpartition(",")
        yield where, label.strip(), parse_image(values, where, (8, 8, 3))


def one_cell(path):
    for where, line in itertools.islice(read_lines(path), 1, None):
        label, _, values = line.partition(",")
        values = values.replace(" ", ",")
        yield where, label.strip(), parse_image(values, where, (48, 48, 1))


def index_first(path):
    for where, line in itertools.islice(read_lines(path), 1, None):
        label, _, values = line.partition(",")[2].partition(",")
        yield where, label.strip(), parse_image(values, where, (12, 10, 3))


def semicolons(path):
    for where, line in read_lines(path):
        label, _, values = line.replace(";", ",").partition(",")
        yield where, label.strip(), parse_image(values, where, (10, 12, 3))


# How to read it, its shape and header, a row's form, and what separates its values.
LAYOUTS = {
    "label_first": (label_first, (28, 28, 1), ["label,pixels"], "{0},{1}", ","),
    "label_last": (label_last, (8, 8, 3), ["pixels,label"], "{1},{0}", ","),
    "one_cell": (one_cell, (48, 48, 1), ["label,pixels"], "{0},{1}", " "),
    "index_first": (index_first, (12, 10, 3), [",label,pixels"], "7,{0},{1}", ","),
    "semicolons": (semicolons, (10, 12, 3), [], "{0};{1}", ";"),
}
BAD_ROWS = {
    "256": lambda label, values: (label, ["256", *values[1:]]),
    "a word": lambda label, values: (label, [*values[:-1], "petal"]),
    "a value too few": lambda label, values: (label, values[1:]),
    "a value too many": lambda label, values: (label, [*values, "9"]),
    "no label": lambda label, values: ("", values),
}


def paint(shape, k):
    """Return an image of which no two rows, columns or channels are alike."""
    rows, columns, channels = np.indices(shape)
    return ((k + 5 * rows + 2 * columns + 50 * channels) % 256).astype("uint8")


def write_rows(path, layout, spoil=lambda *row: row):
    """Write six rows of a layout, the third one spoilt; return the number of its line."""
    _, shape, header, form, separator = LAYOUTS[layout]
    lines = list(header)
    for k, label in enumerate(["rose", "iris", "iris"] * 2):
        row = label, [str(value) for value in paint(shape, k).ravel()]
        label, values = spoil(*row) if k == 2 else row
        lines.append(form.format(label, separator.join(values)))
    Path(path).write_text("".join(f"{line}\n" for line in lines))
    return len(header) + 3


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_bad_row_of_any_layout_is_one_line_with_its_number(tmp_path, layout, bad):
    path = tmp_path / "x.csv"
    number = write_rows(path, layout, BAD_ROWS[bad])
    with pytest.raises(InputError) as error:
        read_labels(path, read_rows=LAYOUTS[layout][0])
    assert str(error.value).startswith(f"{path}, line {number} (")
    assert len(str(error.value).splitlines()) == 1


def run_copy(layout, shape, read, wanted, bad):
    """Run a copy of the project on painted pixels, then on bad rows, by path and line."""
    shutil.copytree(ROOT / "pyimagesearch", f"{layout}/pyimagesearch")
    shutil.copy(ROOT / "train.py", layout)
    code = Path(layout, "pyimagesearch", "csv_rows.py")
    text = code.read_text().replace("SHAPE = (64, 64, 3)", f"SHAPE = {shape}")
    if read:
        reader = inspect.getsource(read).replace(read.__name__, "read_rows", 1)
        start, end = text.index("def read_rows"), text.index("def parse_image")
        text = f"{text[:start]}{reader}\n\n{text[end:]}"
    code.write_text(text)
    for name in [name for name in sys.modules if name.startswith("pyimagesearch")]:
        del sys.modules[name]
    sys.path.insert(0, layout)
    if not read:
        sys.argv = ["build_csv", "--images", "photos", "--output", layout]
        runpy.run_module("pyimagesearch.datasets.build_csv", run_name="__main__")

    path = f"{layout}/flowers17_training.csv"
    sys.argv = ["train.py", *f"-e 1 -b 4 -v {path} -t {path}".split()]
    names = runpy.run_path(f"{layout}/train.py")
    names["main"]()
    lb = names["LabelBinarizer"]().fit(["iris", "rose"])
    images, one_hot = next(names["csv_image_generator"](path, 6, lb))
    np.testing.assert_array_equal(images, wanted)
    assert not read or one_hot[:, 1].tolist() == [1, 0, 0, 1, 0, 0]

    os.remove("plot.png")
    files = list(os.walk("."))
    for sys.argv[-1], number in bad.items():
        with pytest.raises(SystemExit) as stop:
            names["main"]()
        assert stop.value.code.startswith(f"[ERROR] {sys.argv[-1]}, line {number} (")
        assert len(stop.value.code.splitlines()) == 1
    assert list(os.walk(".")) == files


def run_all():
    for layout, (read, shape, *_) in LAYOUTS.items():
        os.mkdir(layout)
        write_rows(f"{layout}/flowers17_training.csv", layout)
        bad = {f"{layout}/{name}.csv": spoil for name, spoil in BAD_ROWS.items()}
        bad = {path: write_rows(path, layout, spoil) for path, spoil in bad.items()}
        run_copy(layout, shape, read, [paint(shape, k) for k in range(6)], bad)

    picture = paint((48, 80, 3), 0)  # the builder shuffles: all are alike
    for number, label in itertools.product(range(8), ("iris", "rose")):
        Path("photos", label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(f"photos/{label}/{number}.png")
    run_copy("built", picture.shape, None, [picture] * 6, {})


# Importing TensorFlow takes seconds, so all copies of the project run in one process.
def test_train_py_keeps_its_promises_on_every_layout_and_shape(tmp_path):
    output = run_python(tmp_path, __file__)
    assert output.count(" 2 classes: iris, rose\n") == len(LAYOUTS) + 1
    assert output.count("[INFO] training") == len(LAYOUTS) + 1  # on no bad row


if __name__ == "__main__":
    run_all()
