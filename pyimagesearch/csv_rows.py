"""Read and check a CSV of images; needs only numpy, 2.3 or later.

(Older numpy reads 256 as 0.) A row is one line: the label, then every value of the
image as a whole number from 0 to 255, row by row, pixel by pixel, channel by channel.
No header; UTF-8. For another layout, change read_rows: checks and training use it.
"""

import itertools
import math
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

if np.lib.NumpyVersion(np.__version__) < "2.3.0":
    raise ImportError(f"numpy {np.__version__} reads 256 as 0; install 2.3 or later")

# Height, width, channels (3 for RGB, 1 for grey) of every image in the project.
IMAGE_SHAPE = (64, 64, 3)


class InputError(ValueError):
    """A user's mistake, explained in one line."""


def warn(text):
    """Print a one-line warning to standard error."""
    print(f"[WARNING] {text}", file=sys.stderr, flush=True)


def check_is_file(path):
    """Raise InputError unless `path` is a file, which can be read repeatedly."""
    if not Path(path).exists():
        raise InputError(f"{path}: no such file in {Path(path).resolve().parent}")
    if not Path(path).is_file():
        name, kind = str(path) or "''", "a folder, a pipe or a device"
        raise InputError(f"{name}: {kind}; name a file, since it is read repeatedly")


def read_lines(path):
    """Yield (where, line) for each non-blank line of a text file.

    `where` begins error messages, for example "flowers.csv, line 7 ('rose,58,73,…')",
    with the line's first 30 characters. The line is a str without spaces at its ends.
    Raises InputError if `path` isn't a file or a line isn't UTF-8. Closing the
    generator closes the file.
    """
    check_is_file(path)
    # Undecodable bytes become surrogates, which can't be encoded as UTF-8: this finds
    # the line that holds them, and every kind of line ending is accepted.
    with open(path, encoding="utf-8", errors="surrogateescape") as text_file:
        for line_number, line in enumerate(text_file, start=1):
            where = f"{path}, line {line_number}"
            try:
                line.encode()
            except UnicodeEncodeError as error:
                reason = "not UTF-8 text; unpack it, or save it as UTF-8"
                raise InputError(f"{where}: {reason}") from error
            line = line.lstrip("\ufeff").strip(" \n")
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
    values as the shape needs, all valid: for uint8, whole numbers from 0 to 255; for
    float32, finite numbers.
    """
    count, expected = values.count(",") + bool(values.strip()), math.prod(shape)
    if count != expected:
        noun = "value" if count == 1 else "values"
        found = f"{count:,} {noun} instead of {expected:,}"
        raise InputError(f"{where}: {found} for the shape {shape}")
    # numpy accepts some non-ASCII characters as digits.
    values = values.encode("ascii", "backslashreplace").decode()
    try:
        numbers = np.loadtxt([values], dtype, delimiter=",", comments=None)
    except ValueError as error:
        reason = str(error).replace("uint8", "uint8 (0 to 255)").rstrip(".")
        reason = reason.replace(" at row 0, column", ", value")
        raise InputError(f"{where}: {reason}") from error
    for k in np.flatnonzero(~np.isfinite(numbers))[:1]:
        cell = values.split(",")[k].strip()
        raise InputError(f"{where}: {cell!r} is no finite number, value {k + 1}")
    return numbers.reshape(shape)


def check_csvs(train_csv, test_csv, batch_size=1):
    """Read every row of both files; return the two lists of labels, in file order.

    Prints the numbers of rows and classes, and the first ten class names. Raises
    InputError for a missing or empty file, a bad row, a training file with a single
    class, or a test label that training lacks. Warns if the training rows are sorted by
    label or fewer than `batch_size`, or if classes look alike.
    """
    for path in (train_csv, test_csv):
        check_is_file(path)
    print(f"[INFO] checking {train_csv}...", flush=True)
    train_labels = read_labels(train_csv)
    classes = sorted(set(train_labels))
    if len(classes) == 1:
        only = f"every row has the label {train_labels[0]!r}"
        raise InputError(f"{train_csv}: {only}; training needs two or more classes")
    print(f"[INFO] checking {test_csv}...", flush=True)
    test_labels = read_labels(test_csv, set(classes))

    names = ", ".join(str(label) for label in classes[:10])
    print(
        f"[INFO] {len(train_labels):,} training and {len(test_labels):,} testing rows,"
        f" {len(classes)} classes: {names}{', ...' if len(classes) > 10 else ''}"
    )
    if batch_size > len(train_labels):
        more = f"a batch of {batch_size:,} is more than its {len(train_labels):,} rows"
        warn(f"{train_csv}: {more}, so it holds some of them twice")
    if are_sorted(train_labels):
        warn(f"{train_csv}: the rows are sorted by label; shuffle them first")
    if alike := look_alikes(classes):
        groups = "; ".join(" and ".join(map(ascii, group)) for group in alike[:3])
        warn(f"{train_csv}: classes that look alike: {groups}")
    return train_labels, test_labels


def are_sorted(labels):
    """Tell whether labels form far fewer, longer runs than shuffled ones would."""
    counts, runs = Counter(labels), sum(1 for _ in itertools.groupby(labels))
    shuffled = len(labels) - sum(n**2 for n in counts.values()) / len(labels)
    return runs < len(labels) and (runs == len(counts) or runs < shuffled / 2)


def look_alikes(names):
    """Return groups of names that differ only in ways that are hard to see.

    These are case, spaces, invisible characters, and the Unicode form of a character.
    """
    groups = defaultdict(list)
    for name in names:
        plain = unicodedata.normalize("NFKD", str(name)).casefold()
        # \ufe0f asks for a character's coloured form.
        visible = [c for c in plain if c.isprintable() and c not in " \ufe0f"]
        groups["".join(visible)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def read_labels(path, known_labels=None, *, read_rows=read_rows):
    """Check every row of a file; return its labels, all in `known_labels` if given.

    `read_rows` reads the file's layout. Raises InputError for a row that it rejects, a
    label that isn't one line of text, or a file without rows.
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


def check_labels(path, labels):
    """Raise InputError unless a file still holds exactly these labels, in order."""
    if read_labels(path) != labels:
        raise InputError(f"{path}: its labels changed during the run; start it again")
