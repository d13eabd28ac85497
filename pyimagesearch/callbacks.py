"""What train.py adds to model.fit: a graceful Ctrl-C, and a backup to resume from."""

import os
import signal

from tensorflow.keras.callbacks import Callback

from pyimagesearch.csv_rows import InputError
from pyimagesearch.safe_files import replacing


class StopOnCtrlC(Callback):
    """On Ctrl-C, let model.fit finish the current epoch, then stop.

    Stopping between two batches would leave weights that have seen part of an epoch.
    A second Ctrl-C ends the process at once.
    """

    def on_train_begin(self, logs=None):
        self.asked = False
        self.previous = signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_):
        self.asked = True
        # Not Python's handler: a KeyboardInterrupt inside TensorFlow can crash it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Not print(): the signal may have interrupted another one.
        os.write(2, b"\n[INFO] finishing this epoch; Ctrl-C again ends at once\n")

    def on_epoch_end(self, epoch, logs=None):
        if self.asked:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        signal.signal(signal.SIGINT, self.previous)


class Backup(Callback):
    """After each epoch, save weights and optimizer to one file, atomically."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        with replacing(self.path) as part:
            self.model.save_weights(part)


def load_backup(model, path, steps_per_epoch, epochs):
    """Load the backup at `path`, if any, into a compiled model; return its epoch count.

    That number is fit's initial_epoch. Raises InputError unless the file is a backup
    of this network after 1 to `epochs` whole epochs.
    """
    if not path.exists():
        return 0
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(path)
    except (OSError, KeyError, ValueError, RuntimeError):
        raise InputError(
            f"{path}: not a backup of this network; name another file or delete it"
        ) from None
    # The optimizer counts its updates, so the backup shows how far it got.
    updates = int(model.optimizer.iterations)
    finished, rest = divmod(updates, steps_per_epoch)
    if rest or not 1 <= finished <= epochs:
        raise InputError(
            f"{path}: {updates} updates are not 1 to {epochs} epochs of"
            f" {steps_per_epoch} steps; use the options and files of that run, or delete it"
        )
    print(f"[INFO] resuming after epoch {finished}; delete {path} to start over")
    return finished
