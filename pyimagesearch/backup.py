"""Backups of a training run, from which the same command goes on after a kill.

Keras' BackupAndRestore writes them: the weights with the optimizer's state, and a
small JSON file with the number of finished epochs, each once more for the epoch
before. This module guards what that callback does not: a backup that was cut while
it was written, and files in the folder that are not ours.
"""

import json
import math
import shutil
from pathlib import Path

from tensorflow.keras.callbacks import BackupAndRestore

from pyimagesearch.safe_files import check_writable

WEIGHTS = "latest.weights.h5"
METADATA = "training_metadata.json"
PREVIOUS = ".bkp"
FILES = {WEIGHTS, METADATA, WEIGHTS + PREVIOUS, METADATA + PREVIOUS}


def check_backup_folder(folder):
    """Raise an OSError unless `folder` is new, empty or an earlier backup, and writable."""
    folder = Path(folder)
    if folder.exists():
        if not folder.is_dir():
            raise OSError(None, "is a file; name a folder for the backups", str(folder))
        foreign = sorted({path.name for path in folder.iterdir()} - FILES)
        if foreign:
            reason = f"holds {foreign[0]!r}; give the backups a folder of their own"
            raise OSError(None, reason, str(folder))
    check_writable(folder)


def backup_callback(model, folder, steps_per_epoch):
    """Return the callback that lets model.fit go on from the backup in `folder`.

    The model must be compiled; it backs up after each epoch. If the newest backup
    was cut, the one of the epoch before takes its place; if that is no better,
    training starts anew. A backup of another network is a ValueError, a disk with too
    little room for two backups an OSError.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    weights = folder / WEIGHTS
    model.optimizer.build(model.trainable_variables)
    _check_room(model, folder)
    for name in (WEIGHTS, WEIGHTS + PREVIOUS):
        if not (folder / name).exists():
            continue
        if name != WEIGHTS:
            shutil.copy(folder / name, weights)
        try:
            model.load_weights(weights)
        except OSError:
            continue
        except ValueError:
            raise ValueError(
                f"{folder}: the backup there is of another network;"
                " give this run a folder of its own"
            ) from None
        # The optimizer counts its updates, so the weights themselves tell how many
        # epochs they have seen, even if the JSON file was cut or never written.
        epoch = int(model.optimizer.iterations) // steps_per_epoch
        (folder / METADATA).write_text(json.dumps({"epoch": epoch, "batch": 0}))
        break
    else:
        remove_backup(folder)
    # Keras would delete the whole folder as soon as training ends.
    return BackupAndRestore(
        str(folder), double_checkpoint=True, delete_checkpoint=False
    )


def _check_room(model, folder):
    variables = model.variables + model.optimizer.variables
    needed = 2 * sum(4 * math.prod(variable.shape) for variable in variables)
    there = sum(path.stat().st_size for path in folder.iterdir())
    if shutil.disk_usage(folder).free + there < needed:
        reason = f"two backups take {needed / 1e6:.0f} MB, more than the disk has free"
        raise OSError(None, reason, str(folder))


def remove_backup(folder):
    """Delete the backup, and nothing else, from `folder`."""
    for name in FILES:
        (Path(folder) / name).unlink(missing_ok=True)
