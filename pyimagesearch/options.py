"""The command lines of train.py and of datasets/, with one-line errors for users."""

import codecs
import functools
import re
import signal
import sys
import tempfile
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError
from contextlib import contextmanager
from pathlib import Path

from pyimagesearch.csv_rows import InputError, warn


def parse_args(train_csv, test_csv, epochs, batch_size):
    """Parse the options of train.py, with these defaults."""
    parser = OneLineParser(description="Train MiniVGGNet on images from a CSV file.")
    add = parser.add_argument
    add("-t", "--train-csv", default=train_csv, help="rows to train on")
    add("-v", "--test-csv", default=test_csv, help="rows to test on")
    add("-e", "--epochs", type=whole_number(1), default=epochs, help="epochs")
    size = whole_number(2)  # batch normalization turns a single row into zeros
    add("-b", "--batch-size", type=size, default=batch_size, help="rows per batch")
    add("-p", "--plot", type=picture_file, default="plot.png", help="the plot")
    add("-m", "--model", type=model_file, help="the trained model to save, FILE.keras")
    purpose = "save each epoch here, and resume from it; one file per run"
    add("--backup", type=output_file(".weights.h5"), help=purpose)
    add("--seed", type=whole_number(0), help="make the run repeatable")
    return parser.parse_args()


class OneLineParser(ArgumentParser):
    """An ArgumentParser that shows defaults, and reports an error in one line."""

    def __init__(self, description):
        form = ArgumentDefaultsHelpFormatter
        super().__init__(description=description, formatter_class=form)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


def users_error(error):
    """Return a one-line message for an error that a user can cause, otherwise None.

    Such an error is an InputError or an OSError, even if TensorFlow reports it as the
    failure of a generator.
    """
    text = str(error)
    if type(error).__module__.startswith("tensorflow"):
        own_line = r"(?m)^(?:InputError: |\w+Error: \[Errno \d+\] )(.+)$"
        text = found[1] if (found := re.search(own_line, text)) else None
    elif isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror}"
    elif not isinstance(error, (InputError, OSError)):
        text = None
    return text and " ".join(text.splitlines())


@contextmanager
def attempt(errors):
    """Run a block to its end or to an Exception, which is appended to `errors`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001, raise_first tells it
        errors.append(error)


def raise_first(errors):
    """Print all errors but the first as warnings, then raise the first, if any."""
    for error in errors[1:]:
        warn(users_error(error) or repr(error))
    if errors:
        raise errors[0]


def one_line_errors(main):
    """Decorate main(): a user's error prints one line and exits with code 1.

    All other exceptions keep their traceback. After Ctrl-C the process is terminated by
    SIGINT, which stops a shell loop, too.
    """

    @functools.wraps(main)
    def wrapper():
        if hasattr(sys.stdout, "reconfigure"):  # not in a notebook
            sys.stdout.reconfigure(errors="replace_unprintable")
        try:
            main()
        except Exception as error:
            if (text := users_error(error)) is None:
                raise
            sys.exit(f"[ERROR] {text}")
        except KeyboardInterrupt:
            print("\n[INFO] stopped", file=sys.stderr)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    return wrapper


def _replace_unprintable(error):
    # Labels and Keras' progress bars may hold characters that the terminal lacks.
    character = error.object[error.start]
    text = "=" if character == "\u2501" else ascii(character)[1:-1]
    return text, error.start + 1


codecs.register_error("replace_unprintable", _replace_unprintable)


def whole_number(least):
    """Return an argparse type: a whole number from `least` to numpy's largest seed."""

    def parse(text):
        if text.isdecimal() and least <= int(text) < 2**32:
            return int(text)
        bounds = f"from {least} to {2**32 - 1}"
        raise ArgumentTypeError(f"{text!r} is not a whole number {bounds}")

    return parse


def output_file(*suffixes, any_case=False):
    """Return an argparse type: a writable path that ends in one of the suffixes."""

    def parse(text):
        path = Path(text)
        name = path.name.lower() if any_case else path.name
        if not name.endswith(suffixes) or name in suffixes:
            endings = " or ".join(suffixes)
            raise ArgumentTypeError(f"{text}: must be a name that ends in {endings}")
        if path.is_dir():
            raise ArgumentTypeError(f"{text}: is a folder, not a file")
        return writable(path.resolve().parent, text)

    return parse


picture_file = output_file(".png", ".pdf", ".svg", any_case=True)


def model_file(text):
    """Parse a model's path; its class names are saved beside it."""
    path = output_file(".keras")(text)
    output_file(".classes.txt")(str(path.with_suffix(".classes.txt")))
    return path


def writable(folder, text):
    """Return `text` as a path if `folder`, which is to hold it, is writable."""
    try:
        # Only trying to write is reliable for every kind of disk and user.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ArgumentTypeError(f"{text}: {error.strerror}") from None
    return Path(text)
