"""Read and check a CSV of images; needs only numpy, 2.3 or later.

(Older numpy reads 256 as 0.) A row is one line: the label, then every value of the
image as a whole number from 0 to 255, row by row, pixel by pixel, channel by channel.
No header; UTF-8. For another layout, change read_rows: checks and training follow.
"""

import itertools
import math
import sys
from pathlib import Path

import numpy as np

# Height, width, channels (3 for RGB, 1 for grey) of every image in the project.
IMAGE_SHAPE = (64, 64, 3)


class InputError(ValueError):
    """A user's mistake, explained in one line."""


def read_lines(path):
    """Yield (where, line) for each non-blank line of a text file.

    `where` begins error messages, for example "flowers.csv, line 7 ('rose,58,73,…')",
    with the first 30 characters. The line is a str without spaces at its ends. Raises
    InputError for a line that isn't UTF-8. Closing the generator closes the file.
    """
    with open(path, "rb") as text_file:
        for line_number, line in enumerate(text_file, start=1):
            where = f"{path}, line {line_number}"
            try:
                line = line.decode().lstrip("\ufeff").strip(" \r\n")
            except UnicodeDecodeError as error:
                reason = "not UTF-8 text; unpack it, or save it as UTF-8"
                raise InputError(f"{where}: {reason}") from error
            if line.strip():
                start = line if len(line) <= 30 else line[:30] + "…"
                yield f"{where} ({start!r})", line


def read_rows(path):
    """Yield each row of a CSV once, in order, as (where, label, image).

    `where` begins error messages, the label is a str, the image a uint8 array of shape
    IMAGE_SHAPE, 0 to 255. Raises InputError, a ValueError, at the first bad row.
    """
    for where, line in read_lines(path):
        label, _, values = line.partition(",")
        yield where, label.strip(), parse_image(values, where)


def parse_image(values, where, shape=IMAGE_SHAPE, dtype="uint8"):
    """Parse comma-separated values into an array of this shape and dtype.

    Raises InputError, beginning with `where`, unless the text holds exactly as many
    values as the shape needs, and each is one: for uint8, a whole number from 0 to 255.
    """
    count, expected = values.count(",") + bool(values.strip()), math.prod(shape)
    if count != expected:
        noun = "value" if count == 1 else "values"
        found = f"{count:,} {noun} instead of {expected:,}"
        raise InputError(f"{where}: {found} for the shape {shape}")
    # numpy accepts some characters beyond ASCII as digits.
    values = values.encode("ascii", "backslashreplace").decode()
    try:
        numbers = np.loadtxt([values], dtype, delimiter=",", comments=None)
        return numbers.reshape(shape)
    except ValueError as error:
        reason = str(error).replace("uint8", "uint8 (0 to 255)").rstrip(".")
        reason = reason.replace(" at row 0, column", ", value")
        raise InputError(f"{where}: {reason}") from error


def check_csvs(train_csv, test_csv):
    """Read every row of both files; return the two lists of labels, in file order.

    Prints the numbers of rows and classes, and the first ten names. A missing or empty
    file, a bad row, a training file with a single class, or a test label that training
    lacks raises InputError. Warns if the training rows are sorted by label.
    """
    for path in (train_csv, test_csv):
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file in {Path(path).resolve().parent}")
    train_labels = read_labels(train_csv)
    classes = set(train_labels)
    if len(classes) == 1:
        only = f"every row has the label {train_labels[0]!r}"
        raise InputError(f"{train_csv}: {only}; training needs two or more classes")
    test_labels = read_labels(test_csv, classes)

    names = ", ".join(str(label) for label in sorted(classes)[:10])
    print(
        f"[INFO] {len(train_labels):,} training and {len(test_labels):,} testing rows,"
        f" {len(classes)} classes: {names}{', ...' if len(classes) > 10 else ''}"
    )
    runs = [label for label, _ in itertools.groupby(train_labels)]
    if len(runs) == len(classes) < len(train_labels):
        warning = f"{train_csv}: the rows are sorted by label; shuffle them first"
        print(f"[WARNING] {warning}", file=sys.stderr)
    return train_labels, test_labels


def read_labels(path, known_labels=None, *, read_rows=read_rows):
    """Check every row of a file; return its labels, all in `known_labels` if given.

    `read_rows` reads the file's layout. Raises InputError for a row that it refuses, a
    label that isn't one line of text, and a file without rows.
    """
    labels = []
    try:
        for where, label, _ in read_rows(path):
            if str(label).splitlines() != [str(label)] or "\0" in str(label):
                raise InputError(f"{where}: {label!r} is no label; each row needs one")
            if known_labels is not None and label not in known_labels:
                missing = f"the training file has no rows of {label!r}"
                raise InputError(f"{where}: {missing}; add some or remove this one")
            labels.append(label)
    except InputError as error:
        # A file that isn't text has no header, either.
        if labels or isinstance(error.__cause__, UnicodeError):
            raise
        question = "(a header, or another layout than read_rows expects?)"
        raise InputError(f"{error} {question}") from error
    if not labels:
        raise InputError(f"{path}: no rows; a row is a label and its pixel values")
    return labels
