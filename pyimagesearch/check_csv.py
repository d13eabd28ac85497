"""Say what is wrong with a pair of CSVs before anything is trained on them.

`python -m pyimagesearch.check_csv TRAINING.csv TESTING.csv` does just that.
"""

import argparse
import itertools
import shlex
import sys
from pathlib import Path

from pyimagesearch.csv_rows import TEST_CSV, TRAIN_CSV, parse_row
from pyimagesearch.safe_files import one_line_errors


def check_csvs(train_csv, test_csv):
    """Read every row of both files; return the two lists of labels, in file order.

    What training would stumble over is a ValueError or an OSError that names the
    file, the line and the mistake: a file that is missing or empty, a row that
    parse_row refuses, a training file with one class only, a label of the
    testing file that the training file lacks. Training rows that stand sorted by
    label only draw a warning on standard error.
    """
    missing = [str(path) for path in (train_csv, test_csv) if not Path(path).exists()]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)}: no such file;"
            " python -m pyimagesearch.build_csv makes both from the photographs"
        )
    train_labels = read_labels(train_csv)
    classes = set(train_labels)
    if len(classes) == 1:
        raise ValueError(
            f"{train_csv}: {train_labels[0]!r} is its only class;"
            " add rows of at least one other"
        )
    test_labels = read_labels(test_csv, classes)

    runs = [label for label, _ in itertools.groupby(train_labels)]
    if len(runs) == len(classes) < len(train_labels):
        path = Path(train_csv)
        shuffled = path.with_stem(f"{path.stem}_shuffled")
        print(
            f"[WARNING] {path}: the rows stand sorted by label, and training on them in"
            " that order goes badly; shuffle them first:"
            f" shuf {shlex.quote(str(path))} > {shlex.quote(str(shuffled))}",
            file=sys.stderr,
        )
    return train_labels, test_labels


def read_labels(path, known_labels=None):
    """Check every row of one file and return the labels, in file order.

    With `known_labels`, a label that is not among them is a mistake as well.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: not a regular file; name a CSV")
    labels = []
    try:
        with open(path, "rb") as csv_file:
            for number, line in enumerate(csv_file, start=1):
                row = parse_row(line, f"{path}, line {number}")
                if row is None:
                    continue
                label, _ = row
                if known_labels is not None and label not in known_labels:
                    raise ValueError(
                        f"{path}, line {number}: the training file has no rows of"
                        f" {label!r}; add some there or take this one out"
                    )
                labels.append(label)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    if not labels:
        raise ValueError(f"{path}: no rows; a row is a label and its pixel values")
    return labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train_csv", nargs="?", default=TRAIN_CSV)
    parser.add_argument("test_csv", nargs="?", default=TEST_CSV)
    args = parser.parse_args()
    with one_line_errors():
        train_labels, test_labels = check_csvs(args.train_csv, args.test_csv)
    print(
        f"{len(train_labels):,} rows to train on, {len(test_labels):,} to test on,"
        f" {len(set(train_labels))} classes: nothing wrong"
    )


if __name__ == "__main__":
    main()
