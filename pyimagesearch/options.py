"""The command line of train.py, checked before anything is trained.

Each function of a `text` takes what stands behind an option and returns its value, as
argparse's `type=`; its ArgumentTypeError becomes argparse's one-line message.
"""

import argparse
import io
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from pyimagesearch.backup import check_backup_folder
from pyimagesearch.csv_rows import TEST_CSV, TRAIN_CSV
from pyimagesearch.safe_files import check_writable


def parse_args():
    """Return the options of train.py; without any, the run is the tutorial's."""
    parser = one_line_parser("Train MiniVGGNet on images that come from a CSV file.")
    add = parser.add_argument
    add("-t", "--train-csv", default=TRAIN_CSV, help="rows to train on")
    add("-v", "--test-csv", default=TEST_CSV, help="rows to validate and report on")
    add("-e", "--epochs", type=positive_int, default=75, help="passes of training")
    add("-b", "--batch-size", type=positive_int, default=32, help="rows in a batch")
    add(
        "-p",
        "--plot",
        type=plot_path,
        default="plot.png",
        help="where to save the plot",
    )
    add("-m", "--model", type=model_path, help="where to save the model, a .keras file")
    add(
        "--backup",
        metavar="DIR",
        type=backup_folder,
        help="folder of backups, from which a run that was killed goes on",
    )
    add("--seed", metavar="N", type=seed, help="same seed, same numbers")
    return parser.parse_args()


def one_line_parser(description):
    """Return an ArgumentParser that shows defaults, and its errors as one line.

    Unless it is suppressed, argparse prints the whole usage above an error.
    """
    return argparse.ArgumentParser(
        description=description,
        usage=argparse.SUPPRESS,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def positive_int(text):
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def seed(text):
    """Return a whole number that numpy takes as a seed, 0 to 2**32 - 1."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 0 to {2**32 - 1}"
        )
    return int(text)


def share(text):
    """Return a number above 0 and below 1."""
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")


def plot_path(text):
    """Return the path, if matplotlib can save a picture there."""
    path = _writable_file(text)
    try:
        if not path.suffix:
            raise ValueError("add a suffix such as .png")
        # Only saving a figure shows what this matplotlib can do: for some formats
        # it calls on programs that may not be installed.
        figure = Figure()
        figure.text(0, 0, "try")
        figure.savefig(io.BytesIO(), format=path.suffix[1:])
    except (ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(f"{text}: {reason}") from None
    return path


def model_path(text):
    """Return the path, if Keras can save a model there."""
    path = _writable_file(text)
    if path.suffix != ".keras":
        raise argparse.ArgumentTypeError(f"{text}: a model's name ends in .keras")
    return path


def backup_folder(text):
    """Return the path, if the backups of a run can be kept there."""
    with _option_errors():
        check_backup_folder(text)
    return Path(text)


def output_folder(text):
    """Return the path, if files can be written into that folder, made later if need be."""
    with _option_errors():
        check_writable(text)
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: is a file; name a folder")
    return Path(text)


def _writable_file(text):
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: is a folder; name a file")
    with _option_errors():
        check_writable(text)
    return Path(text)


@contextmanager
def _option_errors():
    try:
        yield
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise argparse.ArgumentTypeError(reason) from None
