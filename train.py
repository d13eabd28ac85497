"""Train MiniVGGNet on images that a Python generator reads from a CSV file.

`python train.py` trains on flowers17_training.csv, prints a classification report
on flowers17_testing.csv, and saves a plot of loss and accuracy as plot.png.
"""

import math

import matplotlib

matplotlib.use("Agg")  # draws into files, so no screen is needed
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.metrics import classification_report
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.callbacks import History
from tensorflow.keras.optimizers import SGD
from tensorflow.keras.optimizers.schedules import InverseTimeDecay
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from pyimagesearch.backup import backup_callback, remove_backup
from pyimagesearch.check_csv import check_csvs
from pyimagesearch.csv_rows import parse_row
from pyimagesearch.ctrl_c import StopOnCtrlC
from pyimagesearch.minivggnet import MiniVGGNet
from pyimagesearch.options import parse_args
from pyimagesearch.safe_files import leave, one_line_errors, replacing


def csv_image_generator(inputPath, bs, lb, mode="train", aug=None):
    """Yield batches of images and labels from a CSV file, without an end.

    inputPath is the CSV's path, bs the batch size, lb a LabelBinarizer fitted on
    the labels. A batch is a pair: images, float32, (n, 64, 64, 3), 0 to 255, and
    one-hot labels, float32, (n, classes), columns in the order of lb.classes_.

    In mode "train" n is always bs: the first row follows the last one within the
    batch. aug, if given, is anything with Keras' flow(images, labels, batch_size=)
    and changes each batch once. In mode "eval" a pass gives each row once, in the
    file's order; its last batch may be shorter, and aug is not used.

    Raises ValueError for a bad row, a label that lb doesn't know, a file without
    rows, another mode or a bs below 1, when the batch in question is asked for.
    """
    if mode not in ("train", "eval"):
        raise ValueError(f"mode is {mode!r}, not 'train' or 'eval'")
    if bs < 1:
        raise ValueError(f"bs is {bs}, but a batch holds at least 1 row")

    # A row of the identity matrix for each class. lb.transform() would turn an
    # unknown label into zeros, and two classes into one column.
    one_hot = dict(zip(lb.classes_, np.eye(len(lb.classes_), dtype="float32")))

    # Rows are some 45 kB long: a large buffer reads them four times as fast.
    with open(inputPath, "rb", buffering=2**20) as csv_file:
        images, labels = [], []
        while True:
            rows = 0
            csv_file.seek(0)
            for number, line in enumerate(csv_file, start=1):
                where = f"{inputPath}, line {number}"
                row = parse_row(line, where)
                if row is None:  # a blank line
                    continue
                label, image = row
                if label not in one_hot:
                    raise ValueError(f"{where}: {label!r} is not a label that lb knows")
                images.append(image)
                labels.append(one_hot[label])
                rows += 1
                if len(images) == bs:
                    batch = np.array(images, dtype="float32"), np.array(labels)
                    if aug is not None and mode == "train":
                        batch = next(aug.flow(*batch, batch_size=bs))
                    yield batch
                    images, labels = [], []

            if rows == 0:
                raise ValueError(f"{inputPath}: no rows")
            # Evaluation wants each row once, so what is left over is a batch of its
            # own; training keeps it, and fills it up from the top of the file.
            if images and mode == "eval":
                yield np.array(images, dtype="float32"), np.array(labels)
                images, labels = [], []


def build_augmenter():
    """Return what turns, zooms, shifts, shears and flips each image at random."""
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
    """Return MiniVGGNet for 64x64 RGB images, compiled for that many epochs."""
    model = MiniVGGNet.build(64, 64, 3, classes)
    # The learning rate falls with every update t, as 0.01 / (1 + t * 0.01 / epochs).
    learning_rate = InverseTimeDecay(0.01, decay_steps=1, decay_rate=0.01 / epochs)
    model.compile(
        optimizer=SGD(learning_rate, momentum=0.9),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def save_plot(history, path):
    """Draw loss and accuracy over the epochs of a History and save them at `path`."""
    if not history.epoch:
        print("[INFO] the backup had all epochs already: nothing new to plot")
        return
    epochs = [epoch + 1 for epoch in history.epoch]
    with plt.style.context("ggplot"):
        figure, (loss, accuracy) = plt.subplots(
            2, sharex=True, figsize=(8, 8), layout="constrained"
        )
        for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
            axes.plot(epochs, history.history[name], ".-", label=f"train_{name}")
            axes.plot(epochs, history.history[f"val_{name}"], ".-", label=f"val_{name}")
        loss.legend(loc="upper right")
        accuracy.legend(loc="lower right")
        # The first validation losses of unscaled pixels are often above 100; on a
        # linear axis they would press all others flat.
        loss.set(
            title="Training Loss and Accuracy on Dataset", ylabel="Loss", yscale="log"
        )
        accuracy.set(xlabel="Epoch #", ylabel="Accuracy", ylim=(0, 1))
        with replacing(path) as part:
            figure.savefig(part)
        plt.close(figure)


def main():
    args = parse_args()
    if args.seed is not None:
        tf.keras.utils.set_random_seed(args.seed)
        # Or else the order in which threads add up would change the last digits.
        tf.config.experimental.enable_op_determinism()

    # What is wrong with a file is said here, not in epoch 3.
    with one_line_errors():
        train_labels, test_labels = check_csvs(args.train_csv, args.test_csv)
    lb = LabelBinarizer().fit(train_labels)
    train_steps = max(1, len(train_labels) // args.batch_size)
    test_steps = max(1, len(test_labels) // args.batch_size)

    aug = build_augmenter()
    train_gen = csv_image_generator(args.train_csv, args.batch_size, lb, aug=aug)
    test_gen = csv_image_generator(args.test_csv, args.batch_size, lb)

    model = build_model(len(lb.classes_), args.epochs)
    history = History()
    callbacks = [history, StopOnCtrlC()]
    if args.backup:
        with one_line_errors():
            callbacks.append(backup_callback(model, args.backup, train_steps))

    print("[INFO] training w/ generator...")
    stopped = False
    try:
        model.fit(
            train_gen,
            steps_per_epoch=train_steps,
            validation_data=test_gen,
            validation_steps=test_steps,
            epochs=args.epochs,
            callbacks=callbacks,
            shuffle=False,  # the generator alone decides on the order
        )
    except KeyboardInterrupt:
        stopped = True
        print()
    if stopped:
        # Ctrl-C is a wish, not an accident: report on the epochs that are finished.
        if not history.history:
            leave("[INFO] stopped before the first epoch was finished: no report")
        print(f"[INFO] stopped after epoch {history.epoch[-1] + 1}")

    # In eval mode these steps are one pass: each test image is predicted once.
    print("[INFO] evaluating network...")
    eval_gen = csv_image_generator(args.test_csv, args.batch_size, lb, mode="eval")
    eval_steps = math.ceil(len(test_labels) / args.batch_size)
    probabilities = model.predict(eval_gen, steps=eval_steps)
    predicted = lb.classes_[probabilities.argmax(axis=1)]
    print(
        classification_report(
            test_labels, predicted, labels=lb.classes_, zero_division=0
        )
    )

    with one_line_errors():
        try:
            save_plot(history, args.plot)
        finally:  # without a plot, the model is worth no less
            if args.model:
                with replacing(args.model) as part:
                    model.save(part)
    if args.backup and not stopped:
        remove_backup(args.backup)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        leave("[INFO] stopped before there was anything to report")
