"""What train.py adds to model.fit: backups, a stop on Ctrl-C or nan, a warning."""

import io
import math
import os
import signal
import warnings

import numpy as np
from tensorflow.keras.callbacks import Callback

from pyimagesearch.csv_rows import InputError, warn
from pyimagesearch.safe_files import replacing


class StopOnCtrlC(Callback):
    """On Ctrl-C, let model.fit finish the current epoch, then stop.

    Stopping between two batches would leave weights that have seen part of an epoch.
    A second Ctrl-C ends the process at once. For scripts, in the main thread only.
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


class InMemory(io.BytesIO):
    """A buffer that Keras' save_weights takes for a file, because of its name."""

    def __str__(self):
        return "in memory.weights.h5"


class Backup(Callback):
    """After each epoch, save weights and optimizer to `path`, unless it is None.

    If that fails, training continues; only the first failure prints a warning.
    """

    def __init__(self, path):
        super().__init__()
        self.path, self.warned = path, False

    def on_epoch_end(self, epoch, logs=None):
        if not self.path:
            return
        try:
            # HDF5 crashes on a full disk, so the file is made in memory.
            self.model.save_weights(file := InMemory())
            with replacing(self.path) as part:
                part.write_bytes(file.getvalue())
        except OSError as error:
            if not self.warned:
                warn(f"{self.path}: {error.strerror}; training continues without it")
            self.warned = True


class WatchTraining(Callback):
    """Raise InputError after an epoch whose loss isn't finite, before it is backed up.

    At the end, warn if training accuracy is far above validation's after few updates.
    In fit's list of callbacks it goes before Backup.
    """

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            print()  # ends the line of the progress bar
            raise InputError(
                f"the loss is {logs['loss']} after epoch {epoch + 1}; lower the learning"
                " rate, and look for nan among values that read_rows reads by itself"
            )

    def on_train_end(self, logs=None):
        if not logs:  # no epoch was run
            return
        trained, validated = logs["accuracy"], logs["val_accuracy"]
        updates = int(self.model.optimizer.iterations)
        gap = 0.1 if logs["val_loss"] > 10 * logs["loss"] else 0.3
        if updates < 500 and trained - validated >= gap:
            warn(
                f"accuracy is {trained:.2f} in training and {validated:.2f} in validation"
                f" after only {updates} updates: the averages of batch normalization may"
                ' lag behind; see "The same through train.py" in'
                " pyimagesearch/recipes/own_csv.md"
            )


def load_backup(model, path, steps_per_epoch, epochs, seed=None):
    """Load the backup at `path`, if any, into a compiled model; return its epoch count.

    That number is fit's initial_epoch; it is 0 if there is no such file. With a seed,
    numpy is reseeded for the remaining epochs. Raises InputError unless the file is a
    backup of this network and optimizer, after 1 to `epochs` whole epochs, as far as
    the counts of variables and updates show.
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
    if seed is not None:  # or augmentation would repeat the first epochs
        np.random.seed((seed + finished) % 2**32)
    return finished
