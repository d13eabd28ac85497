"""Lines, images, rows and labels are what the file says, or an error of one line."""

import os
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


# \u01fe is 206 to numpy's reader, which is to get ASCII text alone.
@given(st.text(ODD, max_size=6) | ANY_TEXT | NUMBERS, st.integers(0, VALUES - 1))
@example("\u01fe", 5)
@example("1e1", 5)
@example("14#", VALUES - 1)
def test_one_odd_cell_is_that_number_or_an_error(cell, place):
    try:
        numbers = parse(cell, place)
    except InputError:
        return
    assert numbers.pop(place) == int(cell)
    assert numbers == [7 + k for k in range(VALUES) if k != place]


@pytest.mark.parametrize("cell", [" 0 ", "\t255  \t ", "+25", "00025"])
def test_spaces_plus_signs_and_leading_zeros_do_not_matter(cell):
    assert parse(cell)[5] == int(cell)


@pytest.mark.parametrize("place", [0, VALUES - 1])
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
    assert error_of(parse_image, cell, "x.csv, line 7", (), "float32") == f"{message}1"


@pytest.mark.parametrize("count", [0, 1, 12287, 12289])
def test_too_few_or_too_many_values_are_counted_for_the_shape(count):
    message = error_of(parse_image, f" {','.join('9' * count)} ", "x.csv, line 7")
    found = f"{count:,} value" + "s" * (count != 1)
    wanted = f"{found} instead of 12,288 for the shape (64, 64, 3)"
    assert message == f"x.csv, line 7: {wanted}"


@pytest.mark.parametrize("version", ["1.26.4", "2.2.6", "2.3.0.dev0"])
def test_an_older_numpy_is_refused_at_import(monkeypatch, version):
    for newer in ("2.3.0", "2.10.1"):
        monkeypatch.setattr(np, "__version__", newer)
        runpy.run_path(csv_rows.__file__)
    monkeypatch.setattr(np, "__version__", version)
    with pytest.raises(ImportError, match=f"^numpy {version} reads 256 as 0; install"):
        runpy.run_path(csv_rows.__file__)


def test_what_is_no_file_is_named_as_what_it_is(file, tmp_path):
    path = file(ROW)
    kinds = {"no/x.csv": f"no such file in {tmp_path / 'no'}", tmp_path: "a folder"}
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        kinds["pipe"] = "a folder, a pipe or a device; name a file"
    for name, kind in kinds.items():
        assert error_of(list, read_lines(name)).startswith(f"{name}: {kind}")
        assert error_of(csv_rows.check_csvs, path, name).startswith(f"{name}: {kind}")
    assert error_of(list, read_lines("")).startswith("'': a folder, a pipe or")


def test_read_rows_yields_where_label_and_image(file):
    ((label, image),) = make_rows(["Gänse blümchen 雏菊"])
    path = file(csv_bytes([(f"\n\ufeff  {label} ", image)]))
    ((where, read_label, read_image),) = csv_rows.read_rows(path)
    assert where.startswith("x.csv, line 2 ('Gänse blümchen ")
    assert read_label == label and read_image.dtype == "uint8"
    np.testing.assert_array_equal(read_image, image)


@given(st.binary(max_size=60), st.sampled_from([b"", b"rose,", ROW.encode()[:-2]]))
def test_any_bytes_are_rows_or_an_error(tmp_path_factory, some, start):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(start + some)
    try:
        assert all(label.strip() == label != "" for label in tiny_labels(path))
    except InputError as error:
        assert str(error).startswith(f"{path}") and len(str(error).splitlines()) == 1


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


def test_what_is_no_text_is_not_asked_for_a_header(file):
    message = "x.csv, line 1: not UTF-8 text; unpack it, or save it as UTF-8"
    assert error_of(tiny_labels, file(b"\x1f\x8b\x08\0")) == message


@pytest.mark.parametrize("number", [3, 10, 11])
def test_what_was_read_is_said_with_the_first_ten_classes(write_csv, capsys, number):
    labels = [f"kind{k:02}" for k in reversed(range(number))] * 2
    path = write_csv("rows.csv", labels)
    assert csv_rows.check_csvs(path, path) == (labels, labels)
    line = f"[INFO] {2 * number} training and {2 * number} testing rows, {number} class"
    names = ", ".join(sorted(labels)[0:20:2]) + ", ..." * (number > 10)
    checking = f"[INFO] checking {path}...\n"
    assert capsys.readouterr() == (f"{checking * 2}{line}es: {names}\n", "")


WARNINGS = [
    ("ab", 2, ""),
    ("ab", 3, "a batch of 3 is more than its 2 rows, so it holds some of them twice"),
    ("aabb", 1, "the rows are sorted by label; shuffle them first"),
    ("aBcDAbCd", 1, "classes that look alike: 'A' and 'a'; 'B' and 'b'; 'C' and 'c'"),
    (["é", "e\u0301"], 1, r"classes that look alike: 'e\u0301' and '\xe9'"),
]


@pytest.mark.parametrize(("labels", "bs", "text"), WARNINGS)
def test_what_may_be_a_mistake_is_told(write_csv, capsys, labels, bs, text):
    path = write_csv("rows.csv", labels)
    csv_rows.check_csvs(path, path, bs)
    assert capsys.readouterr().err == (f"[WARNING] {path}: {text}\n" if text else "")


def test_sorted_rows_form_a_run_per_class_or_far_fewer_than_shuffled_ones():
    rng = np.random.default_rng(0)
    shuffled = (rng.permutation([*"a" * n, *"b" * 20, *"c" * 2]) for n in (20, 900))
    for labels in ("baba", "bac", "ab", *shuffled):
        assert not csv_rows.are_sorted([*labels])
    for labels in ("aabb", "aaaaabbbbbccccc" * 2, "aaaaabbbbb" * 3):
        assert csv_rows.are_sorted(labels)


def test_classes_look_alike_that_differ_in_case_spaces_or_form():
    roses, es = ["Rose", "rose ", "r\u200bose", "r\xado\t\ufe0fse"], ["é", "e\u0301"]
    assert csv_rows.look_alikes(["iris", *roses, "lily", *es]) == [roses, es]
    assert csv_rows.look_alikes(["a", "b", "a b", "a-b", "ab1", "ä", "á", "1"]) == []
    forms = ("NFC", "NFD", "NFKC", "NFKD")
    for c in map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]):
        same = {c, c.casefold(), *(unicodedata.normalize(form, c) for form in forms)}
        assert len(same) == 1 or csv_rows.look_alikes(same) == [[*same]], ascii(c)
