"""Other layouts and shapes: each line of the page's table keeps all promises."""

import csv
import itertools
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, error_of, run_python

from pyimagesearch.csv_rows import parse_image, read_labels, read_lines
from pyimagesearch.recipes.__main__ import code_blocks

PAGE = ROOT / "pyimagesearch" / "recipes" / "own_csv.md"
SECTION = PAGE.read_text("utf-8").split("\n### Another layout\n")[1].split("\n### ")[0]
READER = re.search(r"(?ms)^```python fragment\n(.*?)^```$", SECTION)[1]
TABLE = re.findall(r"(?m)^\| ([^|]+) \| `(.+)` \|$", SECTION)
(BY_ID,) = [code for code in code_blocks("own_csv", "fragment") if "label_of" in code]
# How each line of the table begins, the form of such a row, and what separates values.
USUAL = "{0},{1}", ","
LAYOUTS = {
    "a header": USUAL,
    "the label last": ("{1},{0}", ","),
    "an index or id, then the label": ("7,{0},{1}", ","),
    "semicolons": ("{0};{1}", ";"),
    "all pixels in one cell": ("{0},{1}", " "),
    "an index or id first": ("7,{1},{0}", ","),
    "tabs": ("{0}\t{1}", "\t"),
    "the same, with a column": ("{0},{1},Training", " "),
    "a column between": ("{0},male,{1}", ","),
    "commas inside": ('"{0}, A.",{1}', ","),
    "quotation marks": ('"{0}","{1}"', '","'),
    "labels in a file": ("{1}", ","),
    "labels by id": ("{2},{1}", ","),
}
OTHERS = (
    "decimals",
    "grey",
    "a red",
    "columns first",
    "blue first",
    "values from 0 to 1",
)
LAYOUTS |= dict.fromkeys(OTHERS, USUAL)
SHAPES = {"a header": (48, 48, 1), "grey": (28, 28, 1), "columns first": (28, 28, 1)}
SHAPES |= {"all pixels in one cell": (8, 8, 1), "a red": (32, 32, 3)}
STORED = {
    "a red": lambda image: image.transpose(2, 0, 1),
    "columns first": lambda image: image.swapaxes(0, 1),
    "blue first": lambda image: image[..., ::-1],
    "values from 0 to 1": lambda image: image / 255,
}
BAD_ROWS = {
    "256": lambda label, values: (label, ["256", *values[1:]]),
    "a word": lambda label, values: (label, [*values[:-1], "petal"]),
    "a value too few": lambda label, values: (label, values[1:]),
    "a value too many": lambda label, values: (label, [*values, "9"]),
    "no label": lambda label, values: ("", values),
}
# A float has no bounds; where a line of labels is missing, zip() says so.
NO_ERROR = [("values from 0 to 1", "256"), ("decimals", "256")]
NO_ERROR += [("labels in a file", "no label"), ("commas inside", "no label")]
CASES = [case for case in itertools.product(LAYOUTS, BAD_ROWS) if case not in NO_ERROR]


def reader_of(layout):
    """Return the page's read_rows with the table's lines in their places."""
    if layout == "labels by id":
        return BY_ID
    (changes,) = [change for name, change in TABLE if name.startswith(layout)]
    lines = READER.splitlines()
    for line in changes.split("`<br>`"):
        place = 1 if line.startswith("for") else 3 if line.startswith("yield") else 2
        lines[place] = " " * (4 if place == 1 else 8) + line
    if ".labels" in changes:
        del lines[2]
    return "\n".join(lines)


def read_rows_of(layout):
    def parse(values, where, shape=None, dtype="uint8"):
        return parse_image(values, where, shape or paint(layout, 0).shape, dtype)

    names = {"parse_image": parse, "read_lines": read_lines, "csv": csv, "SHAPE": None}
    names["islice"] = itertools.islice
    exec(reader_of(layout), names)  # noqa: S102
    return names["read_rows"]


def paint(layout, k):
    """Return an image of which no two rows, columns or channels are alike."""
    rows, columns, channels = np.indices(SHAPES.get(layout, (12, 10, 3)))
    pixels = (k + 5 * rows + 2 * columns + 50 * channels) % 256
    return pixels / 8 - 9 if layout == "decimals" else pixels.astype("uint8")


def write_rows(path, layout, spoil=lambda *row: row):
    """Write six rows of a layout, the third one spoilt; return the number of its line."""
    form, separator = LAYOUTS[layout]
    lines = ["label,pixels"] * (layout in ("a header", "labels by id"))
    labels, id_lines = ["rose", "iris", "iris"] * 2, []
    for k, label in enumerate(labels):
        stored = STORED.get(layout, np.copy)(paint(layout, k))
        row = label, [*map(str, stored.ravel().tolist())]
        label, values = spoil(*row) if k == 2 else row
        lines.append(form.format(label, separator.join(values), k))
        id_lines.insert(0, f"{k},{label}\n")  # in another order
    Path(path).write_text("".join(f"{line}\n" for line in lines))
    Path(f"{path}.labels").write_text("".join(f"{label}\n" for label in labels))
    Path("labels.csv").write_text("".join(["id,label\n", *id_lines]))
    return len(lines) - 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_line_of_the_table_reads_its_painted_pixels(tmp_path, monkeypatch, layout):
    assert len(TABLE) == len(LAYOUTS) - 1
    monkeypatch.chdir(tmp_path)
    write_rows("x.csv", layout)
    _, labels, images = zip(*read_rows_of(layout)("x.csv"))
    suffix = ", A." * (layout == "commas inside")
    assert labels == (f"rose{suffix}", f"iris{suffix}", f"iris{suffix}") * 2
    np.testing.assert_allclose(images, [paint(layout, k) for k in range(6)], atol=1e-3)


@pytest.mark.parametrize(("layout", "bad"), CASES)
def test_a_bad_row_of_any_layout_is_one_line(tmp_path, monkeypatch, layout, bad):
    monkeypatch.chdir(tmp_path)
    number = write_rows("x.csv", layout, BAD_ROWS[bad])
    message = error_of(read_labels, "x.csv", read_rows=read_rows_of(layout))
    assert message.startswith(f"x.csv, line {number} (")


def run_copy(layout):
    shutil.copytree(ROOT / "pyimagesearch", f"{layout}/pyimagesearch")
    shutil.copy(ROOT / "train.py", layout)
    code, painted = Path(layout, "pyimagesearch", "csv_rows.py"), paint(layout, 0)
    text = code.read_text().replace("SHAPE = (64, 64, 3)", f"SHAPE = {painted.shape}")
    start, end = text.index("def read_rows"), text.index("def parse_image")
    reader = f"from itertools import islice\n\n\n{reader_of(layout)}\n\n\n"
    code.write_text(text[:start] + reader + text[end:])
    for name in [name for name in sys.modules if name.startswith("pyimagesearch")]:
        del sys.modules[name]
    sys.path.insert(0, layout)

    path = f"{layout}/rows.csv"
    write_rows(path, layout)
    sys.argv = ["train.py", "-e", "1", "-b", "4", "-v", path, "-t", path]
    names = runpy.run_path(f"{layout}/train.py")
    names["main"]()
    lb = names["LabelBinarizer"]().fit(["iris", "rose"])
    images, one_hot = next(names["csv_image_generator"](path, 6, lb))
    np.testing.assert_array_equal(images, [paint(layout, k) for k in range(6)])
    assert one_hot[:, 1].tolist() == [1, 0, 0, 1, 0, 0]
    assert names["build_model"](2, epochs=1).input_shape == (None, *painted.shape)

    os.remove("plot.png")
    for name, spoil in BAD_ROWS.items():
        sys.argv[-1] = f"{layout}/{name}.csv"
        number = write_rows(sys.argv[-1], layout, spoil)
        files = list(os.walk("."))
        with pytest.raises(SystemExit) as stop:
            names["main"]()
        assert stop.value.code.startswith(f"[ERROR] {sys.argv[-1]}, line {number} (")
        assert len(stop.value.code.splitlines()) == 1
        assert list(os.walk(".")) == files


# Importing TensorFlow takes seconds, so all copies of the project run in one process.
def test_train_py_keeps_its_promises_on_five_layouts(tmp_path):
    output = run_python(tmp_path, __file__)
    assert output.count(" 2 classes: iris, rose\n") == 5
    assert output.count("[INFO] training") == 5  # on no bad row


if __name__ == "__main__":
    for name in list(LAYOUTS)[:5]:
        run_copy(name)
