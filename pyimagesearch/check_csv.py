"""Check a pair of CSVs before training on them."""

import itertools
import sys
from pathlib import Path

from pyimagesearch.csv_rows import InputError, parse_row
from pyimagesearch.options import TEST_CSV, TRAIN_CSV, OneLineParser, one_line_errors


def check_csvs(train_csv, test_csv):
    """Read every row of both files; return the two lists of labels, in file order.

    A missing or empty file, a bad row, a training file of a single class, or a test
    label that training lacks raises InputError. Training rows that are sorted by label
    draw a warning on standard error.
    """
    missing = [str(path) for path in (train_csv, test_csv) if not Path(path).exists()]
    if missing:
        raise InputError(
            f"{' and '.join(missing)}: no such file; python -m pyimagesearch.build_csv"
            " makes both from the photographs"
        )
    train_labels = read_labels(train_csv)
    classes = set(train_labels)
    if len(classes) == 1:
        raise InputError(f"{train_csv}: all rows are {train_labels[0]!r}; add a class")
    test_labels = read_labels(test_csv, classes)

    runs = [label for label, _ in itertools.groupby(train_labels)]
    if len(runs) == len(classes) < len(train_labels):
        print(
            f"[WARNING] {train_csv}: the rows are sorted by label; shuffle them first",
            file=sys.stderr,
        )
    return train_labels, test_labels


def read_labels(path, known_labels=None):
    """Check every row of a file; return its labels, all in `known_labels` if given."""
    if not Path(path).is_file():
        raise InputError(f"{path}: not a regular file; name a CSV")
    labels = []
    try:
        with open(path, "rb") as csv_file:
            for number, line in enumerate(csv_file, start=1):
                row = parse_row(line, f"{path}, line {number}")
                if row is None:
                    continue
                label, _ = row
                if known_labels is not None and label not in known_labels:
                    raise InputError(
                        f"{path}, line {number}: the training file has no rows of"
                        f" {label!r}; add some there or remove this one"
                    )
                labels.append(label)
    except OSError as error:  # reading doesn't name the file
        raise OSError(error.errno, error.strerror, str(path)) from error
    if not labels:
        raise InputError(f"{path}: no rows; a row is a label and its pixel values")
    return labels


@one_line_errors
def main():
    parser = OneLineParser(description=__doc__)
    parser.add_argument("train_csv", nargs="?", default=TRAIN_CSV, help="training rows")
    parser.add_argument("test_csv", nargs="?", default=TEST_CSV, help="testing rows")
    args = parser.parse_args()
    train_labels, test_labels = check_csvs(args.train_csv, args.test_csv)
    print(f"{len(train_labels):,} and {len(test_labels):,} rows: no errors")


if __name__ == "__main__":
    main()
