"""Lines, images, rows and labels are what the file says, or an error of one line."""

import os
import re
import runpy
import sys
import unicodedata
from functools import partial

import numpy as np
import pytest
from conftest import csv_bytes, error_of, make_rows
from hypothesis import example, given
from hypothesis import strategies as st

from pyimagesearch import csv_rows
from pyimagesearch.csv_rows import InputError, parse_image, read_labels, read_lines

SHAPE, VALUES = (2, 2, 2), 8
ODD = "0123456789 #+-._eE,\t\r\x00\u0663\u01fe\u0761"
ANY_TEXT = st.text(st.characters(exclude_characters="\n"), max_size=3)
NUMBERS = st.integers(-(10**25), 10**25).map(str)
PLACES = st.integers(0, VALUES - 1)
ROW = "rose,1,2,3,4,5,6,7,8\n"


def parse(cell, place=5, **options):
    """Parse the values 7, 8, 9, ... with one of them replaced; return all as a list."""
    cells = [str(7 + k) for k in range(VALUES)]
    cells[place] = cell
    image = parse_image(",".join(cells), "x.csv, line 7", SHAPE, **options)
    assert image.shape == SHAPE
    return image.ravel().tolist()


def tiny_rows(path):
    for where, line in read_lines(path):
        label, _, values = line.partition(",")
        yield where, label.strip(), parse_image(values, where, SHAPE)


tiny_labels = partial(read_labels, read_rows=tiny_rows)


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
def test_what_is_no_whole_number_is_named_with_its_number(cell, place):
    message = error_of(parse, cell, place)
    assert message.startswith("x.csv, line 7: ") and message[-1] != "."
    assert f"{cell!r} to uint8 (0 to 255), value {place + 1}" in message


@pytest.mark.parametrize("cell", ["nan", "-NaN", " inf", "-Infinity", "1e39", "-1e999"])
def test_a_decimal_is_a_finite_number(cell):
    assert parse("-0.5", dtype="float32")[5] == -0.5
    assert "'half' to float32, value 6" in error_of(parse, "half", dtype="float32")
    message = f"x.csv, line 7: {cell.strip()!r} is no finite number, value "
    assert error_of(parse, cell, dtype="float32") == f"{message}6"
    where, _, _ = message.partition(": ")
    assert error_of(parse_image, cell, where, (), "float32") == f"{message}1"


def test_an_older_numpy_is_refused_at_import(monkeypatch):
    refused = []
    for version in ("2.2.6", "1.26.4", "2.3.0.dev0", "2.3.0", "2.10.1", "3.0.0"):
        monkeypatch.setattr(np, "__version__", version)
        try:
            runpy.run_path(csv_rows.__file__)
        except ImportError as error:
            refused.append(version)
            assert str(error).startswith(f"numpy {version} reads 256 as 0; install")
    assert refused == ["2.2.6", "1.26.4", "2.3.0.dev0"]


def test_what_is_no_file_is_named_as_what_it_is(file, tmp_path):
    path, again = file(ROW), "name a file, since it is read repeatedly"
    kinds = {
        "no/x.csv": f"no such file in {tmp_path / 'no'}",
        tmp_path: f"a folder, a pipe or a device; {again}",
        "pipe": f"a folder, a pipe or a device; {again}",
    }
    if os.name == "nt":
        del kinds["pipe"]
    else:
        os.mkfifo("pipe")
    for name, kind in kinds.items():
        assert error_of(list, read_lines(name)) == f"{name}: {kind}"
        assert error_of(csv_rows.check_csvs, path, name) == f"{name}: {kind}"
    assert error_of(list, read_lines("")).startswith("'': a folder, a pipe or a")


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
        labels = tiny_labels(path)
    except InputError as error:
        assert str(error).startswith(f"{path}")
        assert len(str(error).splitlines()) == 1
    else:
        assert labels and all(label.strip() == label != "" for label in labels)


@pytest.mark.parametrize("label", ["", "  ", "ro\0se", "ro\x85se", "ro\u2028se"])
def test_a_label_is_one_line_of_text(file, label):
    message = error_of(tiny_labels, file(ROW + ROW.replace("rose", label)))
    assert message.startswith("x.csv, line 2 (")
    assert message.endswith(f": {label.strip()!r} is no label; each row needs one")


@pytest.mark.parametrize("line", ["label,pixels\n", ",label\n", f"a{',b' * 8}\n"])
def test_only_an_error_in_the_first_row_ends_in_a_question(file, line):
    message = error_of(list, tiny_rows(file(line)))
    question = " (a header, or another layout than read_rows expects?)"
    assert error_of(tiny_labels, "x.csv") == message + question
    message = error_of(tiny_labels, file("\n" + ROW + line))
    assert message.startswith("x.csv, line 3 (") and "header" not in message


@pytest.mark.parametrize("before", ["", ROW])
def test_what_is_no_text_is_not_asked_for_a_header(file, before):
    path = file(before.encode() + b"\x1f\x8b\x08\0")
    where = f"x.csv, line {1 + bool(before)}"
    message = f"{where}: not UTF-8 text; unpack it, or save it as UTF-8"
    assert error_of(tiny_labels, path) == message


@pytest.fixture
def check(write_csv, capsys):
    """A function that checks rows of these labels; returns the output, the warnings."""

    def check_against_itself(labels, *batch_size):
        path = write_csv("rows.csv", labels)
        both = csv_rows.check_csvs(path, path, *batch_size)
        assert both == (list(labels), list(labels))
        output, errors = capsys.readouterr()
        start = f"[WARNING] {path}: "
        assert errors.count(start) == len(errors.splitlines())
        return output, errors.replace(start, "").splitlines()

    return check_against_itself


@pytest.mark.parametrize("number", [3, 10, 11])
def test_what_was_read_is_said_with_the_first_ten_classes(check, tmp_path, number):
    labels = [f"kind{k:02}" for k in reversed(range(number))] * 2
    line = f"[INFO] {2 * number} training and {2 * number} testing rows, {number} class"
    names = ", ".join(sorted(labels)[0:20:2]) + ", ..." * (number > 10)
    checking = f"[INFO] checking {tmp_path / 'rows.csv'}...\n"
    assert check(labels) == (f"{checking * 2}{line}es: {names}\n", [])


RNG = np.random.default_rng(0)
SHUFFLED = [
    "".join(RNG.permutation([*"a" * n, *"b" * 20, *"c" * 2])) for n in (20, 200, 900)
]
SORTED = ["aabb", "a" * 20 + "b" * 20, ("aaaaabbbbbccccc") * 2, "aaaaabbbbb" * 3]


@pytest.mark.parametrize("labels", ["baba", "bac", "ab", *SHUFFLED, *SORTED])
def test_only_rows_sorted_by_label_cause_a_warning(check, labels):
    assert csv_rows.are_sorted(labels) == (labels in SORTED)
    if len(labels) < 60:
        line = "the rows are sorted by label; shuffle them first"
        assert check(labels)[1] == [line] * (labels in SORTED)


def test_classes_that_look_alike_are_named(check):
    roses, cafes = ["Rose", "rose ", "r\u200bose", "r\xado\tse"], ["café", "cafe\u0301"]
    assert csv_rows.look_alikes(["iris", *roses, "lily", *cafes]) == [roses, cafes]
    assert csv_rows.look_alikes(["a", "b", "a b", "a-b", "ab1", "ä", "á", "1"]) == []
    start, pairs = "classes that look alike: ", "'A' and 'a'; 'B' and 'b'; 'C' and 'c'"
    assert check(["a", "B", "c", "D", "A", "b", "C", "d"])[1] == [start + pairs]
    assert check(cafes)[1] == [start + r"'cafe\u0301' and 'caf\xe9'"]


def test_neither_case_nor_form_of_any_character_makes_a_class():
    forms, odd = ("NFC", "NFD", "NFKC", "NFKD"), []
    for c in map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]):
        same = {c, c.casefold(), *(unicodedata.normalize(form, c) for form in forms)}
        if len(same) > 1 and len(csv_rows.look_alikes(same)) != 1:
            odd.append(c)
    assert odd == []


def test_a_batch_that_is_larger_than_the_file_is_told(check):
    more = "a batch of 3 is more than its 2 rows, so it holds some of them twice"
    assert check("ab", 2)[1] == [] and check("ab", 3)[1] == [more]
