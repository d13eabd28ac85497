"""Train MiniVGGNet on images that a Python generator reads from a CSV file.

`python train.py` trains on flowers17_training.csv, prints a classification report
on flowers17_testing.csv, and saves a plot of loss and accuracy as plot.png.
"""

import gc
import math
import os
from functools import partial

import matplotlib.style
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.metrics import classification_report
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.optimizers import SGD, schedules
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.callbacks import Backup, StopOnCtrlC, WatchTraining, load_backup
from pyimagesearch.csv_rows import (
    IMAGE_SHAPE,
    InputError,
    check_csvs,
    check_labels,
    read_rows,
)
from pyimagesearch.minivggnet import MiniVGGNet
from pyimagesearch.options import attempt, one_line_errors, parse_args, raise_first
from pyimagesearch.safe_files import replacing, save_model

TRAIN_CSV = "flowers17_training.csv"
TEST_CSV = "flowers17_testing.csv"
NUM_EPOCHS = 75
BS = 32  # rows per batch


def csv_image_generator(
    inputPath, bs, lb, mode="train", aug=None, *, read_rows=read_rows
):
    """Yield batches of images and labels from a CSV file, endlessly.

    inputPath is the CSV's path, bs the batch size, lb a LabelBinarizer fitted on the
    labels as text. A batch is a pair: images, float32, (n, *IMAGE_SHAPE), 0 to 255, and
    one-hot labels, float32, (n, classes), with columns in the order of lb.classes_.

    In mode "train" n is always bs: at the end of the file, the batch is filled from the
    top. In mode "eval" a pass yields each row once, in the file's order; its last batch
    may be shorter, and aug is not used.

    aug, if given, is any object with Keras' flow(images, labels, batch_size=), applied
    once per batch. Keras' own changes only the images: a target that changes with them,
    such as an angle or a mask, needs an aug of your own. read_rows(inputPath) yields
    (where, label, image) for each row, once; pass your own for another layout. Raises
    ValueError for a bad row, a label that lb doesn't know, a pass without rows, an
    unknown mode, or a bs below 1, from the next() that reaches it.
    """
    if mode not in ("train", "eval"):
        raise ValueError(f"mode is {mode!r}, not 'train' or 'eval'")
    if bs < 1:
        raise ValueError(f"bs is {bs}, but a batch holds at least 1 row")

    known_labels = set(lb.classes_)
    images, labels = [], []

    def build_batch():
        # One-hot: a 1 in the column of the row's class. lb.transform() would turn an
        # unknown label into zeros, and two classes into a single column.
        one_hot = [lb.classes_ == label for label in labels]
        return np.array(images, "float32"), np.array(one_hot, "float32")

    while True:
        found_rows = False
        for where, label, image in read_rows(inputPath):
            found_rows = True
            if label not in known_labels:
                raise InputError(f"{where}: {label!r} is not a label that lb knows")
            images.append(image)
            labels.append(label)
            if len(images) >= bs:
                batch = build_batch()
                if aug is not None and mode == "train":
                    batch = next(aug.flow(*batch, batch_size=bs))
                    gc.collect(0)  # Keras' iterator refers to itself: free its arrays
                yield batch
                images, labels = [], []

        if not found_rows:  # or the loop would never end
            raise InputError(f"{inputPath}: no rows")
        # Evaluation needs each row once, so the leftover rows form a batch of their
        # own; training keeps them and fills the batch from the top of the file.
        if images and mode == "eval":
            yield build_batch()
            images, labels = [], []


def as_validation_data(make_generator):
    """Return a generator's batches as an endless tf.data.Dataset for validation_data.

    make_generator() returns a new generator of (inputs, targets) or (inputs, targets,
    weights), each an array, or a dict or tuple of arrays. It is called once per
    validation, so ceil(rows / batch size) steps see each row once. Given the generator
    itself, Keras would replay its first two batches in every epoch, then continue
    wherever the generator happens to be.
    """
    # Only the number of rows may differ from batch to batch.
    spec = lambda a: tf.TensorSpec((None, *np.shape(a)[1:]), np.asarray(a).dtype)
    specs = tf.nest.map_structure(spec, next(make_generator()))
    return tf.data.Dataset.from_generator(make_generator, output_signature=specs)


def build_augmenter():
    """Return an augmenter for flowers; don't flip digits, letters or roads."""
    return ImageDataGenerator(
        rotation_range=20,
        zoom_range=0.15,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.15,
        horizontal_flip=True,
        fill_mode="nearest",
    )


def build_model(classes, epochs):
    """Return MiniVGGNet, compiled; `epochs` sets how fast the learning rate falls."""
    height, width, channels = IMAGE_SHAPE
    model = MiniVGGNet.build(width, height, channels, classes)
    learning_rate = 0.01  # after t updates, learning_rate / (1 + t * decay)
    decay = learning_rate / epochs
    decaying = schedules.InverseTimeDecay(
        learning_rate, decay_steps=1, decay_rate=decay
    )
    optimizer = SGD(decaying, momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def save_plot(history, path):
    """Plot a History's loss and accuracy per epoch, and save the plot at `path`."""
    epochs = [epoch + 1 for epoch in history.epoch]
    # The reset ignores the user's matplotlibrc, which might ask for LaTeX. And unlike
    # pyplot, a bare Figure needs no screen and keeps a notebook's backend.
    with matplotlib.style.context("ggplot", after_reset=True):
        figure = Figure(figsize=(8, 8), layout="constrained")
        loss, accuracy = figure.subplots(2, sharex=True)
        for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
            axes.plot(epochs, history.history[name], ".-", label=f"train_{name}")
            axes.plot(epochs, history.history[f"val_{name}"], ".-", label=f"val_{name}")
            axes.legend()
        # On a linear axis, a validation loss of 100, as here, would flatten the curves.
        loss.set(ylabel="Loss", yscale="log")
        loss.set_title("Training Loss and Accuracy on Dataset")
        accuracy.set(xlabel="Epoch #", ylabel="Accuracy", ylim=(0, 1))
        accuracy.xaxis.get_major_locator().set_params(integer=True)
        with replacing(path) as part:
            figure.savefig(part)


@one_line_errors
def main():
    args = parse_args(TRAIN_CSV, TEST_CSV, NUM_EPOCHS, BS)
    bs = args.batch_size
    # Where oneDNN is off, fit on a generator would return freed memory, which is slow.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    if args.seed is not None:
        tf.keras.utils.set_random_seed(args.seed)
        # Otherwise the order in which threads add numbers changes the last digits.
        tf.config.experimental.enable_op_determinism()

    # Report bad rows before training, not in the middle of it.
    train_labels, test_labels = check_csvs(args.train_csv, args.test_csv, bs)
    lb = LabelBinarizer().fit(train_labels)
    train_steps = max(1, len(train_labels) // bs)
    test_steps = math.ceil(len(test_labels) / bs)

    aug = build_augmenter()
    train_gen = csv_image_generator(args.train_csv, bs, lb, aug=aug)
    # Each call makes a new generator, which starts at the first row.
    make_test_gen = partial(csv_image_generator, args.test_csv, bs, lb, mode="eval")
    model = build_model(len(lb.classes_), args.epochs)
    initial_epoch = load_backup(model, args.backup, train_steps, args.epochs, args.seed)

    print("[INFO] training w/ generator...")
    history = tf.keras.callbacks.History()
    errors = []  # a failure doesn't cost the rest
    with attempt(errors):
        model.fit(
            train_gen,
            steps_per_epoch=train_steps,
            validation_data=as_validation_data(make_test_gen),
            validation_steps=test_steps,
            initial_epoch=initial_epoch,
            epochs=args.epochs,
            callbacks=[history, WatchTraining(), Backup(args.backup), StopOnCtrlC()],
            shuffle=False,  # the generator alone decides the order
        )
    if not errors:
        with attempt(errors):
            if args.model:
                save_model(model, lb.classes_, args.model)
        print("[INFO] evaluating network...")
        with attempt(errors):
            probabilities = model.predict(make_test_gen(), steps=test_steps)
            check_labels(args.test_csv, test_labels)  # the file may have changed
            predicted = lb.classes_[probabilities.argmax(axis=1)]
            print(classification_report(test_labels, predicted, zero_division=0))

    if history.history:  # at least one epoch was run
        with attempt(errors):
            save_plot(history, args.plot)
    raise_first(errors)
    # Nothing is left to resume, so the same command will start from scratch.
    if args.backup and initial_epoch + len(history.epoch) == args.epochs:
        args.backup.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
