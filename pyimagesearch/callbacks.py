"""What train.py adds to model.fit: a graceful Ctrl-C, and a backup to resume from."""

import os
import signal
import warnings

from tensorflow.keras.callbacks import Callback

from pyimagesearch.csv_rows import InputError
from pyimagesearch.safe_files import replacing


class StopOnCtrlC(Callback):
    """On Ctrl-C, let model.fit finish the current epoch, then stop.

    Stopping between two batches would leave weights that have seen part of an epoch.
    A second Ctrl-C ends the process at once. For scripts, in the main thread.
    """

    def on_train_begin(self, logs=None):
        self.stop_requested = False
        self.previous = signal.getsignal(signal.SIGINT)
        if self.previous != signal.SIG_IGN:  # which shells set for background jobs
            signal.signal(signal.SIGINT, self._on_ctrl_c)

    def _on_ctrl_c(self, *_):
        self.stop_requested = True
        # Not Python's handler: a KeyboardInterrupt inside TensorFlow can crash it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Not print(): the signal may have interrupted a print().
        os.write(2, b"\n[INFO] finishing this epoch; press Ctrl-C again to quit now\n")

    def on_epoch_end(self, epoch, logs=None):
        if self.stop_requested:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        signal.signal(signal.SIGINT, self.previous)


class Backup(Callback):
    """After each epoch, save weights and optimizer to `path`, unless it is None."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if self.path:
            with replacing(self.path) as part:
                self.model.save_weights(part)


def load_backup(model, path, steps_per_epoch, epochs):
    """Load the backup at `path`, if any, into a compiled model; return its epoch count.

    That number is fit's initial_epoch; it is 0 if there is no such file. Raises
    InputError unless the file is a backup of this network and optimizer, after 1 to
    `epochs` whole epochs, as far as counts of variables and updates can tell.
    """
    if not path or not path.exists():
        return 0
    model.optimizer.build(model.trainable_variables)
    try:
        with warnings.catch_warnings(action="ignore"):  # about what is checked below
            model.load_weights(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        if getattr(error, "errno", None):  # no permission, a lock, a broken disk
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise InputError(f"{path}: no backup of this network; name another") from error
    updates = int(model.optimizer.iterations)
    if not updates:
        raise InputError(f"{path}: no state of this optimizer; name another file")
    finished, rest = divmod(updates, steps_per_epoch)
    if rest or finished > epochs:
        raise InputError(
            f"{path}: saved after {updates} updates, not 1 to {epochs} epochs of"
            f" {steps_per_epoch} steps; use that run's options and files, or delete it"
        )
    print(f"[INFO] resuming after epoch {finished}; delete {path} to start over")
    if finished == epochs:
        print("[INFO] that was the last epoch: nothing left to train, or to plot")
    return finished
