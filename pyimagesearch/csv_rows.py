"""The CSV of images: how one row is read, and how the two files are written.

A row is a line: the label, then 64 * 64 * 3 = 12,288 whole numbers from 0 to
255, row by row, pixel by pixel, red, green, blue. No header; UTF-8.
"""

from codecs import BOM_UTF8
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from pyimagesearch.safe_files import replacing

IMAGE_SHAPE = (64, 64, 3)
VALUES = 64 * 64 * 3
TRAIN_CSV = "flowers17_training.csv"
TEST_CSV = "flowers17_testing.csv"


def parse_row(line, where):
    """Return the label and the image of one line, or None if the line is blank.

    `line` is bytes, as a file opened with "rb" gives them; `where` is the start
    of the error message, say "flowers.csv, line 7". The label is a str, the
    image a uint8 array of shape (64, 64, 3). A line that is not exactly a
    label and 12,288 whole numbers from 0 to 255 is a ValueError.
    """
    line = line.removeprefix(BOM_UTF8).strip()
    if not line:
        return None
    label, _, values = line.partition(b",")
    try:
        label = label.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{where}: the label is not UTF-8") from None
    if not label or "\0" in label:
        raise ValueError(f"{where}: {label!r} is no label; a name belongs there")

    # All values at once, from up to three digits in front of each comma: calling int()
    # value by value takes ten times as long. Subtracting "0" turns digits into 0 to 9
    # and, since uint8 wraps around, any other character into more than 9.
    characters = np.frombuffer(b"," + values + b",", dtype="uint8")
    digits = characters - np.uint8(ord("0"))
    commas = np.flatnonzero(characters == ord(","))
    steps, ends = np.diff(commas), commas[1:]  # a step is a value and its comma
    ones = digits[ends - 1]
    tens = digits[ends - 2] * (steps > 2)
    hundreds = digits[ends - 3] * (steps > 3)
    pixels = ones + np.uint16(10) * tens + np.uint16(100) * hundreds
    if (
        len(pixels) == VALUES
        and np.count_nonzero(digits > 9) == len(commas)
        and ones.max() <= 9  # or else it is a comma, and nothing stands before it
        and steps.max() <= 4
        and pixels.max() <= 255
    ):
        return label, pixels.astype("uint8").reshape(IMAGE_SHAPE)

    # Any other row, value by value: some hold spaces, the rest a mistake to name.
    cells = values.split(b",") if values else []
    if len(cells) != VALUES:
        raise ValueError(f"{where}: {len(cells):,} values instead of {VALUES:,}")
    pixels = np.empty(VALUES, dtype="uint8")
    for number, cell in enumerate(cells):
        cell = cell.strip()
        if not cell.isdigit() or len(cell) > 3 or int(cell) > 255:
            shown = cell[:20].decode(errors="backslashreplace")
            raise ValueError(
                f"{where}: value {number + 1:,} is {shown!r},"
                " not a whole number from 0 to 255"
            )
        pixels[number] = int(cell)
    return label, pixels.reshape(IMAGE_SHAPE)


def write_csvs(images, labels, folder, test_size=0.25, seed=42):
    """Shuffle, split and write the images as TRAIN_CSV and TEST_CSV in `folder`.

    `images` is a sequence of uint8 arrays of shape (64, 64, 3), `labels` their
    names. `test_size` is the testing file's share, above 0 and below 1; the same
    images and `seed` give the same two files. Returns the two numbers of rows.
    An OSError leaves the files that were there as they were.
    """
    split = train_test_split(images, labels, test_size=test_size, random_state=seed)
    train_images, test_images, train_labels, test_labels = split
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    # Neither file takes its place before both are complete: they are one split.
    with (
        replacing(folder / TRAIN_CSV) as train_part,
        replacing(folder / TEST_CSV) as test_part,
    ):
        _write_rows(train_part, train_images, train_labels)
        _write_rows(test_part, test_images, test_labels)
    return len(train_labels), len(test_labels)


def _write_rows(path, images, labels):
    with open(path, "w", encoding="utf-8", newline="\n") as csv_file:
        for image, label in zip(images, labels):
            csv_file.write(",".join([label, *map(str, image.ravel().tolist())]))
            csv_file.write("\n")
