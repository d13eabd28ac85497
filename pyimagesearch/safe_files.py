"""Files that are never left half-written."""

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
        with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            yield part
            os.replace(part, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent != part.parent:
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, reason, str(path)) from error
