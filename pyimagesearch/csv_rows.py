"""How to read and check a CSV of images; needs nothing but numpy.

Here a row is one line: the label, then every value of the image as a whole number from
0 to 255, row by row, pixel by pixel, channel by channel. No header; UTF-8. For another
layout, change read_rows: everything else in the project uses it.
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


def read_rows(path):
    """Yield each row of a CSV once, in order, as (where, label, image).

    `where` begins error messages, for example "flowers.csv, line 7". The label is a
    str, the image a uint8 array of shape IMAGE_SHAPE, 0 to 255. Skips blank lines.
    Raises InputError, a ValueError, at the first bad row. Closing it closes the file.
    """
    with open(path, "rb") as csv_file:
        for line_number, line in enumerate(csv_file, start=1):
            where = f"{path}, line {line_number}"
            try:
                row = parse_row(line, where)
            except InputError as error:
                # A file that isn't text has no header, either.
                if line_number > 1 or isinstance(error.__cause__, UnicodeError):
                    raise
                question = "(a header? the file holds rows alone, the label first)"
                raise InputError(f"{error} {question}") from error
            if row is not None:
                yield where, *row


def parse_row(line, where):
    """Return the label and the image of one line, or None if the line is blank.

    `line` is bytes, as a file opened in mode "rb" yields them; `where` begins the error
    message. The label is a str, the image a uint8 array of shape IMAGE_SHAPE. Raises
    InputError unless the line is a label and the right number of whole numbers from 0
    to 255.
    """
    try:
        text = line.decode().lstrip("\ufeff").strip()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: not UTF-8 text; unpack it, or save it as UTF-8"
        ) from error
    if not text:
        return None
    label, _, values = map(str.strip, text.partition(","))
    shown = repr(label[:30] + "..." * (len(label) > 30))
    if label.splitlines() != [label] or "\0" in label:
        raise InputError(f"{where}: {shown} is no label; a row must start with one")

    count, expected = values.count(",") + bool(values), math.prod(IMAGE_SHAPE)
    if count != expected:
        found = f"{count:,} value{'s' * (count != 1)} after {shown}"
        raise InputError(f"{where}: {found} instead of {expected:,}")
    # numpy accepts some characters beyond ASCII as digits.
    values = values.encode("ascii", "backslashreplace").decode()
    try:
        pixels = np.loadtxt([values], "uint8", delimiter=",", comments=None)
    except ValueError as error:
        reason = str(error).replace("at row 0, column", "(0 to 255), value").rstrip(".")
        raise InputError(f"{where}: {reason}") from error
    return label, pixels.reshape(IMAGE_SHAPE)


def check_csvs(train_csv, test_csv):
    """Read every row of both files; return the two lists of labels, in file order.

    Prints the numbers of rows and the names of the classes. A missing or empty file, a
    bad row, a training file with a single class, or a test label that training lacks
    raises InputError. Warns if the training rows are sorted by label.
    """
    missing = [str(path) for path in (train_csv, test_csv) if not Path(path).is_file()]
    if missing:
        raise InputError(
            f"{' and '.join(missing)}: no such file;"
            " python -m pyimagesearch.datasets.build_csv makes both from the photographs"
        )
    train_labels = read_labels(train_csv)
    classes = set(train_labels)
    if len(classes) == 1:
        raise InputError(
            f"{train_csv}: every row has the label {train_labels[0]!r}; training needs"
            " two or more classes"
        )
    test_labels = read_labels(test_csv, classes)

    names = ", ".join(map(str, sorted(classes)[:10])) + ", ..." * (len(classes) > 10)
    print(
        f"[INFO] {len(train_labels):,} training and {len(test_labels):,} testing rows,"
        f" {len(classes)} classes: {names}"
    )
    runs = [label for label, _ in itertools.groupby(train_labels)]
    if len(runs) == len(classes) < len(train_labels):
        print(
            f"[WARNING] {train_csv}: the rows are sorted by label; shuffle them first",
            file=sys.stderr,
        )
    return train_labels, test_labels


def read_labels(path, known_labels=None):
    """Check every row of a file; return its labels, all in `known_labels` if given."""
    labels = []
    for where, label, _ in read_rows(path):
        if known_labels is not None and label not in known_labels:
            raise InputError(
                f"{where}: the training file has no rows of {label!r}; add some there or"
                " remove this one"
            )
        labels.append(label)
    if not labels:
        raise InputError(f"{path}: no rows; a row is a label and its pixel values")
    return labels
