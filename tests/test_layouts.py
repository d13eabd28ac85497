"""Other layouts and shapes: each line of the page's table keeps all promises."""

import csv
import re
import shutil
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, error_of, run_python

from pyimagesearch.csv_rows import InputError, parse_image, read_labels, read_lines
from pyimagesearch.recipes.__main__ import code_blocks, read_page

SECTION = read_page("own_csv").split("\n### Another layout\n")[1].split("\n### ")[0]
TABLE = re.findall(r"(?m)^\| ([^|]+) \| `(.+)` \|$", SECTION)
READER, BY_ID, *_ = code_blocks("own_csv", "fragment")
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
SHAPES = {"a header": (48, 48, 1), "grey": (28, 28, 1), "columns first": (28, 28, 1)}
SHAPES |= {"all pixels in one cell": (8, 8, 1), "a red": (32, 32, 3)}
STORED = {
    "a red": lambda image: image.transpose(2, 0, 1),
    "columns first": lambda image: image.swapaxes(0, 1),
    "blue first": lambda image: image[..., ::-1],
    "values from 0 to 1": lambda image: image / 255,
}
LAYOUTS |= dict.fromkeys(["grey", "decimals", *STORED], USUAL)
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
CASES = [case for case in product(LAYOUTS, BAD_ROWS) if case not in NO_ERROR]


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

    names = {"csv": csv, "islice": islice, "read_lines": read_lines}
    names |= {"parse_image": parse, "SHAPE": None}
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


@pytest.mark.parametrize(("id_lines", "error"), [("1,a\n1,b\n", "1,b"), ("7,a", "0,")])
def test_an_id_has_exactly_one_label(tmp_path, monkeypatch, id_lines, error):
    monkeypatch.chdir(tmp_path)
    write_rows("x.csv", "labels by id")
    Path("labels.csv").write_text(f"id,label\n{id_lines}")
    with pytest.raises(InputError, match=f", line [23] .'{error}.*: (this|labels.csv)"):
        list(read_rows_of("labels by id")("x.csv"))


RUNS = """import sys, train
for name in sys.argv[1:]:
    sys.argv = ["train.py", "-e1", "-b4", f"-t{name}.csv", f"-v{name}.csv"]
    try:
        train.main()
    except SystemExit as stop:
        print(stop.code)
"""


def test_train_py_keeps_its_promises_on_another_layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "pyimagesearch", "pyimagesearch")
    shutil.copy(ROOT / "train.py", ".")
    code = Path("pyimagesearch", "csv_rows.py")
    text = code.read_text().replace("SHAPE = (64, 64, 3)", "SHAPE = (48, 48, 1)")
    reader = f"from itertools import islice\n{reader_of('a header')}\n"
    code.write_text(re.sub(r"(?s)def read_rows.*(?=def parse_image)", reader, text))
    for kind, spoil in [*BAD_ROWS.items(), ("good", lambda *row: row)]:
        write_rows(f"{kind}.csv", "a header", spoil)
    output = run_python(tmp_path, "-c", RUNS, *BAD_ROWS, "good", project=tmp_path)
    errors = re.findall(r"(?m)^\[ERROR\] (.+) \('", output)
    assert errors == [f"{kind}.csv, line 4" for kind in BAD_ROWS]
    assert output.count(" 2 classes: iris, rose\n[INFO] training") == 1
