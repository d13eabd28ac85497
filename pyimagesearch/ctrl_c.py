"""Ctrl-C during model.fit, taken between two batches.

Anywhere else it may hit TensorFlow while it traces the network, and crash it.
"""

import signal

from tensorflow.keras.callbacks import Callback


class StopOnCtrlC(Callback):
    """After a Ctrl-C, raise the KeyboardInterrupt as soon as the batch is finished."""

    def on_train_begin(self, logs=None):
        self.asked = False
        self.previous = signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_):
        self.asked = True

    def on_train_batch_end(self, batch, logs=None):
        if self.asked:
            self.on_train_end()
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch)

    def on_train_end(self, logs=None):
        signal.signal(signal.SIGINT, self.previous)
