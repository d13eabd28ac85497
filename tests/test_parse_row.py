"""read_rows and parse_row return the numbers as written, or an error of one line."""

import numpy as np
import pytest
from conftest import csv_bytes, make_rows
from hypothesis import example, given
from hypothesis import strategies as st

from pyimagesearch.csv_rows import InputError, parse_row, read_rows

VALUES = 64 * 64 * 3
BYTES = st.integers(0, 255)
ODD = "0123456789 +-._eE,\t\r\x00\u0663\u01fe\u0761"
PLACES = st.integers(0, VALUES - 1)
QUESTION = " (a header? the file holds rows alone, the label first)"


def with_cell(cell, place=9, label=b"rose"):
    """Return a row of numbers with one cell replaced, as bytes."""
    cells = [b"%d" % ((7 + k) % 256) for k in range(VALUES)]
    cells[place] = cell
    return label + b"," + b",".join(cells) + b"\n"


def error_of(line):
    with pytest.raises(InputError) as error:
        parse_row(line, "x.csv, line 7")
    where, _, message = str(error.value).partition(": ")
    assert where == "x.csv, line 7" and len(message.splitlines()) == 1
    return message


@given(st.binary(min_size=1, max_size=99))
def test_what_is_written_comes_out(some):
    pixels = (some * VALUES)[:VALUES]
    label, image = parse_row(b"rose," + b",".join(b"%d" % p for p in pixels), "x")
    assert label == "rose"
    assert image.dtype == "uint8" and image.shape == (64, 64, 3)
    assert image.tobytes() == pixels


# numpy's reader takes a quarter of all characters for digits: \u01fe is 206 to it.
@given(
    st.one_of(
        st.binary(max_size=6),
        st.text(ODD, max_size=6).map(str.encode),
        st.text(max_size=3).map(str.encode),
        st.integers(-(10**25), 10**25).map(lambda number: b"%d" % number),
    ).filter(lambda cell: b"\n" not in cell),
    PLACES,
)
@example("\u01fe".encode(), 9)
@example("5\u01ff".encode(), 9)
@example(b"1e1", 9)
def test_one_odd_cell_is_that_number_or_an_error(cell, place):
    try:
        _, image = parse_row(with_cell(cell, place), "x")
    except InputError:
        return
    assert image.ravel()[place] == int(cell)
    rest = np.delete(image.ravel(), place)
    np.testing.assert_array_equal(rest, np.delete((7 + np.arange(VALUES)) % 256, place))


@given(st.binary(max_size=60), st.sampled_from([b"", b"rose,", with_cell(b"7")[:-2]]))
def test_any_bytes_are_a_row_a_blank_line_or_an_error(line, start):
    try:
        row = parse_row(start + line, "x.csv, line 7")
    except InputError as error:
        assert str(error).startswith("x.csv, line 7: ")
        assert len(str(error).splitlines()) == 1
    else:
        assert row is None or row[0].strip() == row[0] != ""


@pytest.mark.parametrize("form", [b" %d ", b"\t%d  \t ", b"+%d", b"000%d"])
@given(value=BYTES, place=PLACES)
def test_spaces_plus_signs_and_leading_zeros_do_not_matter(form, value, place):
    _, image = parse_row(with_cell(form % value, place), "x")
    assert image.ravel()[place] == value


@pytest.mark.parametrize("place", [0, 5000, VALUES - 1])
@pytest.mark.parametrize("cell", ["256", "-1", "1.5", "", "1 2", "1_0", "0x1", "nan"])
def test_anything_but_0_to_255_is_named_with_its_number(cell, place):
    message = error_of(with_cell(cell.encode(), place))
    assert f"string {cell!r} to uint8 (0 to 255), value {place + 1}" in message
    assert "row 0" not in message and message[-1] != "."


def test_a_character_beyond_ascii_is_named():
    assert "u01fe" in error_of(with_cell("\u01fe".encode()))


@pytest.mark.parametrize("count", [0, 1, 2, VALUES - 1, VALUES + 1, 2 * VALUES])
def test_too_few_or_too_many_values_are_counted(count):
    noun = "value" if count == 1 else "values"
    message = error_of(b"rose," + b",".join([b"9"] * count))
    assert message == f"{count:,} {noun} after 'rose' instead of 12,288"


def test_what_was_taken_as_the_label_is_quoted_and_shortened():
    assert "after 'rose' " in error_of(b"rose")
    assert f"after '{'x' * 30}' " in error_of(b"x" * 30)
    assert f"after '{'x' * 30}...' " in error_of(b"x" * 31)


@pytest.mark.parametrize("label", ["", "  ", "ro\0se", "ro\rse", "ro\u2028se"])
def test_a_label_is_one_line_of_text(label):
    message = error_of(with_cell(b"1", label=label.encode()))
    assert message == f"{label.strip()!r} is no label; a row must start with one"


@pytest.mark.parametrize("before", ["", "  ", "\ufeff\ufeff"])
def test_a_label_may_be_in_any_language_after_spaces_or_marks(before):
    line = with_cell(b"1", label=f"{before}Gänse blümchen 雏菊 ".encode())
    assert parse_row(line, "x")[0] == "Gänse blümchen 雏菊"


@pytest.mark.parametrize("line", ["", "\n", " \t\r\n", "\ufeff\r\n"])
def test_a_blank_line_is_not_a_row(line):
    assert parse_row(line.encode(), "x") is None


@pytest.mark.parametrize("line", [with_cell(b"\xff"), with_cell(b"1", label=b"\xe9")])
def test_bytes_that_are_not_utf8_may_be_compressed(line):
    assert error_of(line) == "not UTF-8 text; unpack it, or save it as UTF-8"


@pytest.fixture
def read(tmp_path):
    """A function that returns the rows of a file with these bytes, read to its end."""

    def read_bytes(text):
        (tmp_path / "x.csv").write_bytes(text)
        return list(read_rows(tmp_path / "x.csv"))

    return read_bytes


def test_a_pass_gives_each_row_once_in_order_with_its_line(read, tmp_path):
    rows = make_rows(["rose", "iris", "lily"])
    wheres, labels, images = zip(*read(b"\n" + csv_bytes(rows).replace(b"\n", b"\n\n")))
    assert [f"{tmp_path}/x.csv, line {k}" for k in (2, 4, 6)] == list(wheres)
    assert list(zip(labels, map(bytes, images))) == [(a, b.tobytes()) for a, b in rows]


@pytest.mark.parametrize("line", [b"label,pixels\n", b",label\n", with_cell(b"pixel9")])
def test_a_mistake_on_line_1_ends_in_a_question(read, line):
    with pytest.raises(InputError, match="x.csv, line 1: ") as error:
        read(line)
    assert str(error.value).endswith(QUESTION)
    with pytest.raises(InputError, match="x.csv, line 2: ") as error:
        read(with_cell(b"1") + line)
    assert "header" not in str(error.value)


def test_a_compressed_file_is_not_asked_for_a_header(read):
    with pytest.raises(InputError, match="x.csv, line 1: not UTF-8 text.*8$"):
        read(b"\x1f\x8b\x08\x00")
