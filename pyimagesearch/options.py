"""Command-line options, checked first, and users' errors reported in one line."""

import argparse
import functools
import math
import signal
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from pyimagesearch.csv_rows import InputError

TRAIN_CSV = "flowers17_training.csv"
TEST_CSV = "flowers17_testing.csv"
SEEDS = (0, 2**32 - 1)  # numpy's range


def parse_args():
    """Parse the options of train.py; without any, the run is the tutorial's."""
    parser = OneLineParser(description="Train MiniVGGNet on images from a CSV file.")
    add = functools.partial(parser.add_argument, metavar="FILE")
    add("-t", "--train-csv", default=TRAIN_CSV, help="rows to train on")
    add("-v", "--test-csv", default=TEST_CSV, help="rows to validate and report on")
    positive = {"metavar": "N", "type": whole_number(1)}
    add("-e", "--epochs", **positive, default=75, help="epochs to train")
    add("-b", "--batch-size", **positive, default=32, help="rows per batch")
    add("-p", "--plot", type=picture_file, default="plot.png", help="the plot to save")
    add("-m", "--model", type=file_ending_in(".keras"), help="the model to save")
    weights = file_ending_in(".weights.h5")
    add("--backup", type=weights, help="save each epoch here, and resume from it")
    seed = whole_number(*SEEDS)
    add("--seed", metavar="N", type=seed, help="same seed, same numbers")
    return parser.parse_args()


def add_output_options(parser):
    """Add --output and --seed, for a program that writes the two CSVs."""
    add = parser.add_argument
    add("--output", metavar="DIR", type=output_folder, default=".", help="for the CSVs")
    seed = whole_number(*SEEDS)
    add("--seed", metavar="N", type=seed, default=42, help="same seed, same CSVs")


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that shows defaults, and reports an error in one line."""

    def __init__(self, **options):
        super().__init__(formatter_class=_HelpWithDefaults, **options)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


class _HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action):
        if action.default is None:  # don't show "(default: None)"
            return action.help
        return super()._get_help_string(action)


def one_line_errors(main):
    """Decorate a main() so that a user's error prints one line and exits with code 1.

    That is an InputError or an OSError; all other exceptions keep their traceback.
    After Ctrl-C the process dies of SIGINT, so that a shell loop around it stops too.
    """

    @functools.wraps(main)
    def wrapper():
        sys.stdout.reconfigure(errors="backslashreplace")  # for labels, on any terminal
        try:
            main()
        except InputError as error:
            sys.exit(f"[ERROR] {error}")
        except OSError as error:
            named = f"{error.filename}: {error.strerror}" if error.filename else error
            sys.exit(f"[ERROR] {named}")
        except KeyboardInterrupt:
            print("\n[INFO] stopped", file=sys.stderr, flush=True)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    return wrapper


def whole_number(least, most=math.inf):
    """Return an argparse type: a whole number from `least` to `most`."""

    def parse(text):
        if text.isdecimal() and least <= int(text) <= most:
            return int(text)
        bounds = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {bounds}")

    return parse


def fraction(text):
    """Parse a number above 0 and below 1."""
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")


def file_ending_in(*suffixes):
    """Return an argparse type: the path of a writable file with such a suffix."""

    def parse(text):
        if not text.endswith(suffixes):
            endings = ", ".join(suffixes)
            raise argparse.ArgumentTypeError(f"{text}: must end in {endings}")
        if Path(text).is_dir():
            raise argparse.ArgumentTypeError(f"{text}: is a folder; name a file")
        return _path_in(Path(text).resolve().parent, text)

    return parse


def picture_file(text):
    """Parse the path of a picture in a format that matplotlib can save."""
    formats = Figure().canvas.get_supported_filetypes().keys() - {"pgf"}  # needs LaTeX
    return file_ending_in(*(f".{name}" for name in sorted(formats)))(text)


def output_folder(text):
    """Parse the path of a folder that can be written to, or created."""
    folder = Path(text).resolve()
    return _path_in(folder if folder.exists() else folder.parent, text)


def _path_in(folder, text):
    try:
        # Trying to write is the only test that holds for every kind of disk and user.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return Path(text)
