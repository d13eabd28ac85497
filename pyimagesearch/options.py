"""The command lines of train.py and of datasets/, with users' errors in one line."""

import functools
import signal
import sys
import tempfile
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError
from pathlib import Path

from pyimagesearch.csv_rows import InputError

TRAIN_CSV = "flowers17_training.csv"
TEST_CSV = "flowers17_testing.csv"


def parse_args(epochs, batch_size):
    """Parse the options of train.py; the defaults reproduce the tutorial's run."""
    parser = OneLineParser(description="Train MiniVGGNet on images from a CSV file.")
    add = parser.add_argument
    add("-t", "--train-csv", default=TRAIN_CSV, help="rows to train on")
    add("-v", "--test-csv", default=TEST_CSV, help="rows to test on")
    add("-e", "--epochs", type=whole_number(1), default=epochs, help="epochs")
    size = whole_number(2)  # batch normalization turns a single row into zeros
    add("-b", "--batch-size", type=size, default=batch_size, help="rows per batch")
    add("-p", "--plot", type=picture_file, default="plot.png", help="the plot")
    add("-m", "--model", type=model_file, help="the trained model to save, FILE.keras")
    purpose = "save each epoch here, and resume from it; one file per run"
    add("--backup", type=file_ending_in(".weights.h5"), help=purpose)
    add("--seed", type=whole_number(0), help="make the run repeatable")
    return parser.parse_args()


class OneLineParser(ArgumentParser):
    """An ArgumentParser that shows defaults, and reports an error in one line."""

    def __init__(self, description):
        form = ArgumentDefaultsHelpFormatter
        super().__init__(description=description, formatter_class=form)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def one_line_errors(main):
    """Decorate main(): a user's error prints one line and exits with code 1.

    That is an InputError or an OSError; all other exceptions keep their traceback.
    After Ctrl-C the process is terminated by SIGINT, which stops a shell loop, too.
    """

    @functools.wraps(main)
    def wrapper():
        if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
            # Labels may hold characters that the terminal lacks.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            main()
        except (InputError, OSError) as error:
            text = str(error)
            if getattr(error, "filename", None):
                text = f"{error.filename}: {error.strerror}"
            sys.exit(" ".join(f"[ERROR] {text}".splitlines()))
        except KeyboardInterrupt:
            print("\n[INFO] stopped", file=sys.stderr)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    return wrapper


def whole_number(least):
    """Return an argparse type: a whole number from `least` to numpy's largest seed."""

    def parse(text):
        if text.isdecimal() and least <= int(text) < 2**32:
            return int(text)
        bounds = f"from {least} to {2**32 - 1}"
        raise ArgumentTypeError(f"{text!r} is not a whole number {bounds}")

    return parse


def file_ending_in(*suffixes):
    """Return an argparse type: a writable path that ends in one of the suffixes."""

    def parse(text):
        path = Path(text)
        if not path.name.endswith(suffixes) or path.name in suffixes:
            endings = " or ".join(suffixes)
            raise ArgumentTypeError(f"{text}: must be a name that ends in {endings}")
        if path.is_dir():
            raise ArgumentTypeError(f"{text}: is a folder, not a file")
        return path_in(path.resolve().parent, text)

    return parse


picture_file = file_ending_in(".png", ".pdf", ".svg")


def model_file(text):
    """Parse the path of a model; the names of its classes are saved beside it."""
    path = file_ending_in(".keras")(text)
    file_ending_in(".classes.txt")(str(path.with_suffix(".classes.txt")))
    return path


def path_in(folder, text):
    """Return `text` as a path if `folder`, where it is to be written, is writable."""
    try:
        # Only trying to write works for every kind of disk and user.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ArgumentTypeError(f"{text}: {error.strerror}") from None
    return Path(text)
