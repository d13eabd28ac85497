"""How to read one row of a CSV of images; needs nothing but numpy.

A row is one line: the label, then every value of the image as a whole number from 0
to 255, row by row, pixel by pixel, channel by channel. No header; UTF-8.
"""

import math
import re
import warnings

import numpy as np

# Height, width, channels (3 for RGB, 1 for grey) of every image in the project.
IMAGE_SHAPE = (64, 64, 3)


class InputError(ValueError):
    """Something that a user got wrong, explained in one line."""


def parse_row(line, where):
    """Return the label and the image of one line, or None if the line is blank.

    `line` is bytes, as a file opened in mode "rb" yields them; `where` starts the
    error message, for example "flowers.csv, line 7". The label is a str, the image
    a uint8 array of shape IMAGE_SHAPE. Raises InputError, a ValueError, unless the
    line is a label and the right number of whole numbers from 0 to 255.
    """
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8 text; save the file as UTF-8") from None
    if not text:
        return None
    label, _, values = map(str.strip, text.partition(","))
    if not label or "\0" in label:
        raise InputError(f"{where}: {label!r} is not a label; start the row with one")

    count, expected = values.count(",") + bool(values), math.prod(IMAGE_SHAPE)
    if count != expected:
        raise InputError(f"{where}: {count:,} values instead of {expected:,}")
    try:
        with warnings.catch_warnings():
            # Before 2.3, numpy reads 256 as 0 and 1.5 as 1, and merely warns.
            warnings.filterwarnings("error", "loadtxt", DeprecationWarning)
            pixels = np.loadtxt([values], "uint8", delimiter=",", comments=None)
    except ValueError as error:
        cell = re.search("string (.*) to uint8 at row 0, column (.*)[.]", str(error))
        if not cell:
            raise InputError(f"{where}: {error}") from None
        value, number = cell.groups()
        raise InputError(
            f"{where}: value {number} is {value}, not a whole number from 0 to 255"
        ) from None
    return label, pixels.reshape(IMAGE_SHAPE)
