"""Lines, images, rows and labels are what the file says, or an error of one line."""

import os
import re
import runpy
import sys
import unicodedata

import numpy as np
import pytest
from conftest import csv_bytes, make_rows
from hypothesis import example, given
from hypothesis import strategies as st

from pyimagesearch import csv_rows
from pyimagesearch.csv_rows import InputError, parse_image, read_labels, read_lines

SHAPE, VALUES = (2, 2, 2), 8
ODD = "0123456789 #+-._eE,\t\r\x00\u0663\u01fe\u0761"
ANY_TEXT = st.text(st.characters(exclude_characters="\n"), max_size=3)
NUMBERS = st.integers(-(10**25), 10**25).map(str)
PLACES = st.integers(0, VALUES - 1)
QUESTION = " (a header, or another layout than read_rows expects?)"


def parse(cell, place=5, **options):
    """Parse the values 7, 8, 9, ... with one of them replaced; return all as a list."""
    cells = [str(7 + k) for k in range(VALUES)]
    cells[place] = cell
    image = parse_image(",".join(cells), "x.csv, line 7", SHAPE, **options)
    assert image.shape == SHAPE
    return image.ravel().tolist()


def error_of(function, *args, **options):
    with pytest.raises(InputError) as error:
        function(*args, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def tiny_rows(path):
    for where, line in read_lines(path):
        label, _, values = line.partition(",")
        yield where, label.strip(), parse_image(values, where, SHAPE)


ROW = "rose,1,2,3,4,5,6,7,8\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A function that writes a text or bytes to x.csv, and returns that name."""

    def write(text):
        (tmp_path / "x.csv").write_bytes(text if type(text) is bytes else text.encode())
        monkeypatch.chdir(tmp_path)
        return "x.csv"

    return write


def test_lines_have_their_number_and_no_mark_and_blank_ones_are_left_out(file):
    path = file("\ufeffa,1 \r\n\n  \t\r\n\ufeff\ufeff\n b,2\n\t3\r\ufeffc,4\x85\r")
    lines = [(1, "a,1"), (5, "b,2"), (6, "\t3"), (7, "c,4\x85")]  # \t: an empty cell
    wanted = [(f"x.csv, line {number} ({line!r})", line) for number, line in lines]
    assert list(read_lines(path)) == wanted
    lines = ["ä" * 30, "ä" * 31, "'\ta\u2028\x00"]  # 30 characters are quoted
    quotes = [f"({lines[0]!r})", f"('{lines[0]}…')", f"({lines[2]!r})"]
    wheres = [where for where, _ in read_lines(file("\n".join(lines)))]
    assert wheres == [f"x.csv, line {k + 1} {quotes[k]}" for k in range(3)]


@given(st.text(ODD, max_size=6) | ANY_TEXT | NUMBERS, PLACES)
@example("\u01fe", 5)  # 206 to numpy's reader
@example("1e1", 5)
@example("14#", VALUES - 1)
def test_one_odd_cell_is_that_number_or_an_error(cell, place):
    try:
        numbers = parse(cell, place)
    except InputError:
        return
    assert numbers.pop(place) == int(cell)
    assert numbers == [7 + k for k in range(VALUES) if k != place]


def test_no_character_beyond_ascii_reaches_numpys_reader(monkeypatch):
    seen = []
    load = lambda lines, *args, **options: seen.extend(lines) or np.zeros(1)
    monkeypatch.setattr(csv_rows.np, "loadtxt", load)
    parse_image("".join(map(chr, range(128, sys.maxunicode + 1))), "x", (1, 1, 1))
    escape = r"\\(x\w{2}|u\w{4}|U\w{8})"  # a backslash makes each an error
    assert re.fullmatch(rf"({escape})*", *seen, re.ASCII)


@pytest.mark.parametrize("form", [" {} ", "\t{}  \t ", "+{}", "000{}"])
@given(value=st.integers(0, 255), place=PLACES)
def test_spaces_plus_signs_and_leading_zeros_do_not_matter(form, value, place):
    assert parse(form.format(value), place)[place] == value


@pytest.mark.parametrize("place", [0, 5, VALUES - 1])
@pytest.mark.parametrize("cell", ["256", "-1", "1.5", "", "1 2", "1_0", "1#", "nan"])
def test_what_is_no_value_of_the_dtype_is_named_with_its_number(cell, place):
    message = error_of(parse, cell, place)
    assert message.startswith("x.csv, line 7: ") and message[-1] != "."
    assert f"{cell!r} to uint8 (0 to 255), value {place + 1}" in message
    assert "row 0" not in message
    assert parse("-0.5", dtype="float32")[5] == -0.5
    assert "'half' to float32, value 6" in error_of(parse, "half", dtype="float32")


@pytest.mark.parametrize("cell", ["nan", "-NaN", " inf", "-Infinity", "1e39", "-1e999"])
def test_a_decimal_is_a_finite_number(cell):
    message = error_of(parse, cell, dtype="float32")
    assert message == f"x.csv, line 7: {cell.strip()!r} is no finite number, value 6"
    message = error_of(parse_image, "inf", "x.csv, line 7", (), "float32")
    assert message == "x.csv, line 7: 'inf' is no finite number, value 1"


def test_an_older_numpy_is_refused_at_import(monkeypatch):
    for version in ("2.2.6", "1.26.4", "2.3.0.dev0"):
        monkeypatch.setattr(np, "__version__", version)
        with pytest.raises(ImportError, match=f"^numpy {version} reads 256 as 0; inst"):
            runpy.run_path(csv_rows.__file__)
    for version in ("2.3.0", "2.10.1", "3.0.0"):
        monkeypatch.setattr(np, "__version__", version)
        runpy.run_path(csv_rows.__file__)


def test_what_is_no_file_is_named_as_what_it_is(file, tmp_path):
    path, where = file(ROW), f"{tmp_path / 'no'}"
    assert (
        error_of(list, read_lines("no/x.csv")) == f"no/x.csv: no such file in {where}"
    )
    assert error_of(list, read_lines("")) == "'': no name of a file; name a CSV file"
    again = "; name a file, since it is read repeatedly"
    assert error_of(list, read_lines(tmp_path)) == f"{tmp_path}: a folder{again}"
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        message = f"pipe: a pipe or a device{again}"
        assert error_of(csv_rows.check_csvs, path, "pipe") == message


@pytest.mark.parametrize("count", [0, 1, 2, 12287, 12289, 24576])
def test_too_few_or_too_many_values_are_counted_for_the_shape(count):
    noun = "value" if count == 1 else "values"
    message = error_of(parse_image, ",".join(["9"] * count), "x.csv, line 7")
    shape = "12,288 for the shape (64, 64, 3)"
    assert message == f"x.csv, line 7: {count:,} {noun} instead of {shape}"


@pytest.mark.parametrize("before", ["", "  ", "\ufeff\ufeff"])
def test_read_rows_yields_where_label_and_image(file, before):
    ((label, image),) = make_rows(["Gänse blümchen 雏菊"])
    path = file(csv_bytes([(f"\n{before}{label} ", image)]))
    ((where, read_label, read_image),) = csv_rows.read_rows(path)
    assert where.startswith("x.csv, line 2 ('Gänse blümchen ")
    assert read_label == label and read_image.dtype == "uint8"
    np.testing.assert_array_equal(read_image, image)


@given(st.binary(max_size=60), st.sampled_from([b"", b"rose,", ROW.encode()[:-2]]))
def test_any_bytes_are_rows_or_an_error(tmp_path_factory, some, start):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(start + some)
    try:
        labels = read_labels(path, read_rows=tiny_rows)
    except InputError as error:
        assert str(error).startswith(f"{path}")
        assert len(str(error).splitlines()) == 1
    else:
        assert labels and all(label.strip() == label != "" for label in labels)


@pytest.mark.parametrize("label", ["", "  ", "ro\0se", "ro\x85se", "ro\u2028se"])
def test_a_label_is_one_line_of_text(file, label):
    path = file(ROW + ROW.replace("rose", label))
    message = error_of(read_labels, path, read_rows=tiny_rows)
    assert message.startswith("x.csv, line 2 (")
    assert message.endswith(f": {label.strip()!r} is no label; each row needs one")


@pytest.mark.parametrize("line", ["label,pixels\n", ",label\n", "a" + ",b" * 8 + "\n"])
def test_only_an_error_in_the_first_row_ends_in_a_question(file, line):
    message = error_of(list, tiny_rows(file(line)))
    assert "header" not in message
    assert error_of(read_labels, "x.csv", read_rows=tiny_rows) == message + QUESTION
    message = error_of(read_labels, file("\n" + ROW + line), read_rows=tiny_rows)
    assert message.startswith("x.csv, line 3 (") and "header" not in message


@pytest.mark.parametrize("before", ["", ROW])
def test_what_is_no_text_is_not_asked_for_a_header(file, before):
    path = file(before.encode() + b"\x1f\x8b\x08\0")
    where = f"x.csv, line {1 + bool(before)}"
    message = f"{where}: not UTF-8 text; unpack it, or save it as UTF-8"
    assert error_of(read_labels, path, read_rows=tiny_rows) == message


def check(write_csv, capsys, labels, *batch_size):
    """Check a file against itself; return what was printed, and the warnings."""
    path = write_csv("rows.csv", labels)
    assert csv_rows.check_csvs(path, path, *batch_size) == (list(labels), list(labels))
    output, errors = capsys.readouterr()
    start = f"[WARNING] {path}: "
    assert all(line.startswith(start) for line in errors.splitlines())
    return output, [line.removeprefix(start) for line in errors.splitlines()]


@pytest.mark.parametrize("number", [3, 10, 11])
def test_what_was_read_is_said_with_the_first_ten_classes(write_csv, capsys, number):
    labels = [f"kind{k:02}" for k in reversed(range(number))] * 2
    path = write_csv("rows.csv", labels)
    line = f"[INFO] {2 * number} training and {2 * number} testing rows, {number} class"
    names = ", ".join(sorted(labels)[0:20:2]) + ", ..." * (number > 10)
    lines = f"[INFO] checking {path}...\n" * 2 + f"{line}es: {names}\n"
    assert check(write_csv, capsys, labels) == (lines, [])


RNG = np.random.default_rng(0)
SHUFFLED = [
    "".join(RNG.permutation([*"a" * n, *"b" * 20, *"c" * 2])) for n in (20, 200, 900)
]
SORTED = [
    "aabb",
    "a" * 20 + "b" * 20,
    "aaaaabbbbbcccccaaaaabbbbbccccc",
    ("aaaaa" + "bbbbb") * 3,
]


@pytest.mark.parametrize("labels", ["baba", "bac", "ab", *SHUFFLED, *SORTED])
def test_only_rows_sorted_by_label_cause_a_warning(write_csv, capsys, labels):
    small = csv_rows.are_sorted(labels)
    assert small == (labels in SORTED)
    if len(labels) < 60:
        line = "the rows are sorted by label; shuffle them first"
        assert check(write_csv, capsys, labels)[1] == [line] * small


ALIKE = ["Rose", "rose ", "r\u200bose", "r\xado\tse"], ["caf\xe9", "cafe\u0301"]


def test_classes_that_look_alike_are_named(write_csv, capsys):
    assert csv_rows.look_alikes(["iris", *ALIKE[0], "lily", *ALIKE[1]]) == [*ALIKE]
    assert csv_rows.look_alikes(["a", "b", "a b", "a-b", "ab1", "ä", "á", "1"]) == []
    labels = ["a", "B", "c", "D", "\xe9", "A", "b", "C", "d", "e\u0301"]
    pairs = "'A' and 'a'; 'B' and 'b'; 'C' and 'c'"
    warnings = check(write_csv, capsys, labels)[1]
    assert warnings == [f"classes that look alike: {pairs}"]
    pair = "'cafe\\u0301' and 'caf\\xe9'"
    assert check(write_csv, capsys, ["caf\xe9", "cafe\u0301"])[1][0].endswith(pair)


def test_neither_case_nor_form_of_any_character_makes_a_class():
    forms, odd = ("NFC", "NFD", "NFKC", "NFKD"), []
    for c in map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]):
        same = {c, c.casefold(), *(unicodedata.normalize(form, c) for form in forms)}
        if len(same) > 1 and len(csv_rows.look_alikes(same)) != 1:
            odd.append(c)
    assert odd == []


def test_a_batch_that_is_larger_than_the_file_is_told(write_csv, capsys):
    assert check(write_csv, capsys, "ab", 2)[1] == []
    more = "a batch of 3 is more than its 2 rows, so it holds some of them twice"
    assert check(write_csv, capsys, "ab", 3)[1] == [more]


def test_labels_that_changed_are_an_error(write_csv):
    path = write_csv("rows.csv", ["a", "b"])
    csv_rows.check_labels(path, ["a", "b"])
    for other in (["b", "a"], ["a"], ["a", "b", "a"]):
        message = error_of(csv_rows.check_labels, path, other)
        assert message == f"{path}: its labels changed during the run; start it again"
