"""parse_row returns the numbers as written or raises an error; never another number."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.csv_rows import InputError, parse_row

VALUES = 64 * 64 * 3
BYTES = st.integers(0, 255)


def with_cell(cell, place, start=7):
    """Return a row of numbers with one cell replaced, as bytes."""
    cells = [b"%d" % ((start + k) % 256) for k in range(VALUES)]
    cells[place] = cell
    return b"rose," + b",".join(cells) + b"\n"


@given(st.binary(min_size=1, max_size=99))
def test_what_is_written_comes_out(some):
    pixels = (some * VALUES)[:VALUES]
    label, image = parse_row(b"rose," + b",".join(b"%d" % p for p in pixels), "x")
    assert label == "rose"
    assert image.dtype == "uint8" and image.shape == (64, 64, 3)
    assert image.tobytes() == pixels


@given(
    cell=st.one_of(
        st.binary(max_size=6).filter(lambda cell: b"\n" not in cell),
        st.text("0123456789 +-._eE,\t\r\x00\u0663", max_size=6).map(str.encode),
        st.integers(-(10**25), 10**25).map(lambda number: b"%d" % number),
    ),
    place=st.integers(0, VALUES - 1),
)
def test_one_odd_cell_is_that_number_or_an_error(cell, place):
    try:
        _, image = parse_row(with_cell(cell, place), "x")
    except ValueError:
        return
    assert image.ravel()[place] == int(cell)
    rest = np.delete(image.ravel(), place)
    np.testing.assert_array_equal(rest, np.delete((7 + np.arange(VALUES)) % 256, place))


@pytest.mark.parametrize("space", [b" ", b"\t", b"  \t "])
@given(value=BYTES, place=st.integers(0, VALUES - 1))
def test_spaces_around_a_value_do_not_matter(space, value, place):
    _, image = parse_row(with_cell(space + b"%d" % value + space, place), "x")
    assert image.ravel()[place] == value


@pytest.mark.parametrize("place", [0, 5000, VALUES - 1])
@pytest.mark.parametrize(
    "cell",
    [
        b"256",
        b"300",
        b"-1",
        b"1.5",
        b"rose",
        b"",
        b"\0",
        b"1\0",
        b"4294967297",
        b"9" * 25,
    ]
    + [b"1 2", b"0x1", b"1_0", b"1e1", b"\xd9\xa3", b"nan", b"it's"],
)
def test_anything_but_0_to_255_is_named(cell, place):
    with pytest.raises(ValueError) as error:
        parse_row(with_cell(cell, place), "flowers.csv, line 7")
    message = str(error.value)
    assert message.startswith("flowers.csv, line 7: value ") and "\n" not in message
    assert f"value {place + 1} is " in message and "row 0" not in message


@pytest.mark.parametrize("line", [with_cell(b"1\r2", 5), with_cell(b"\xff", 5)])
def test_line_breaks_inside_a_row_and_bytes_that_are_not_text(line):
    with pytest.raises(InputError, match="^x: ") as error:
        parse_row(line, "x")
    assert "\n" not in str(error.value)


def test_plus_signs_and_leading_zeros_pass():
    assert parse_row(with_cell(b"+5", 9), "x")[1].ravel()[9] == 5
    assert parse_row(with_cell(b"0007", 9), "x")[1].ravel()[9] == 7


def test_ignored_warnings_do_not_let_a_wrong_number_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="'256'"):
            parse_row(with_cell(b"256", 0), "x")


@pytest.mark.parametrize("count", [1, 100, VALUES - 1, VALUES + 1, 2 * VALUES])
def test_too_few_or_too_many_values_are_counted(count):
    line = b"rose," + b",".join([b"9"] * count)
    with pytest.raises(ValueError, match=re.escape(f"x: {count:,} values instead of")):
        parse_row(line, "x")


@pytest.mark.parametrize("line", [b"rose", b"rose\r\n", b"rose,"])
def test_a_label_alone_has_no_values(line):
    with pytest.raises(ValueError, match="x: 0 values instead of 12,288"):
        parse_row(line, "x")


@pytest.mark.parametrize("label", [b"", b"  ", b"ro\0se", b"ros\xe9"])
def test_a_label_is_text(label):
    with pytest.raises(ValueError, match="^x: "):
        parse_row(label + with_cell(b"1", 0)[4:], "x")


def test_a_label_may_be_in_any_language():
    line = "  Gänse blümchen 雏菊 ".encode() + with_cell(b"1", 0)[4:]
    assert parse_row(line, "x")[0] == "Gänse blümchen 雏菊"


@pytest.mark.parametrize("line", [b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf\r\n"])
def test_a_blank_line_is_not_a_row(line):
    assert parse_row(line, "x") is None
