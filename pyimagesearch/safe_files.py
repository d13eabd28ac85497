"""Files that are never left half-written, and endings that fit on one line."""

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Yield a path to write to; at the end the file there takes the place of `path`.

    Until then, and for good if the block fails, what stood at `path` stays. The
    yielded path has the same name and suffix, in a temporary folder beside
    `path`: on the same disk, so the move is one step that no reader sees half of.
    An OSError of the writing names `path`, not the temporary file.
    """
    path = Path(path).resolve()
    part = path
    try:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            os.replace(part, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != part.parent:
            raise
        reason = error.strerror or str(error)
        raise OSError(error.errno, reason, str(path)) from error


def check_writable(path):
    """Raise an OSError if no file can be written at `path`; nothing is left there.

    Where `path` is a folder, it is the new files in that folder that are meant.
    """
    folder = Path(path).resolve()
    if not folder.is_dir():
        folder = folder.parent
    try:
        # Trying is the one test that holds for every kind of disk and of user.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def one_line_errors():
    """Turn what a user can cause into one line on standard error and exit code 1.

    That is an OSError or a ValueError raised in the block, or a Ctrl-C. Wrap it
    round the steps that touch the user's files and nothing else: our own mistakes
    are to keep their traceback.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            error = f"{error.filename}: {error.strerror}"
        sys.exit(f"[ERROR] {error}")
    except KeyboardInterrupt:
        sys.exit("[INFO] stopped before it was finished")


def leave(message):
    """Print one line on standard error and end the process at once, exit code 1.

    It is for a Ctrl-C while TensorFlow runs. Its threads may be inside the reader's
    generator just then, and on the usual way out that can crash the interpreter.
    """
    print(message, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
