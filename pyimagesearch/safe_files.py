"""Files that are never left half-written."""

import errno
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Yield a path to write to; when the block ends, that file replaces `path`.

    If the block fails, the file at `path` stays as it was. The yielded path has the
    same name, in a temporary folder beside `path`: on the same disk, so the move is
    atomic. An OSError while writing names `path`, not the temporary file.
    """
    path = Path(path).resolve()
    part = path
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            os.replace(part, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != part.parent:
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, reason, str(path)) from error


@contextmanager
def replacing_pair(first, second, remedy):
    """Yield two paths to write to; when the block ends, the files replace a pair.

    If the block fails, both files stay as they were. If only `second` can't be
    replaced, the OSError says that `first` is new already, and what the remedy is.
    """
    first_is_new = False
    try:
        with replacing(second) as second_part:
            with replacing(first) as first_part:
                yield first_part, second_part
            first_is_new = True
    except OSError as error:
        if not first_is_new:
            raise
        reason = f"{error.strerror}, but {first} is new already, so the two don't match"
        raise OSError(error.errno, f"{reason}; {remedy}", error.filename) from error


def save_model(model, class_names, path):
    """Save a Keras model as `path`, and its outputs' names, one per line, beside it."""
    names_path = path.with_suffix(".classes.txt")
    remedy = f"write the class names, sorted, one per line, into {names_path.name}"
    with replacing_pair(path, names_path, remedy) as (model_part, names_part):
        model.save(model_part)
        names_part.write_text("".join(f"{name}\n" for name in class_names), "utf-8")
