"""The tutorial's program on today's Keras, reduced to what its numbers depend on.

`python tests/published.py --seed 1` prints the same training loss and accuracy, epoch
by epoch, and the same report as `python train.py --seed 1`. It needs --seed, and saves
no plot, model or backup. The reading is the published one: an int() per value,
LabelBinarizer's transform, uint8 images, and a generator as validation_data.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.metrics import classification_report
from sklearn.preprocessing import LabelBinarizer
from tensorflow.keras.optimizers import SGD, schedules
from tensorflow.keras.preprocessing.image import ImageDataGenerator

sys.path.insert(0, str(Path(__file__).parent.parent))

from pyimagesearch.minivggnet import MiniVGGNet
from pyimagesearch.options import parse_args


def published_rows(path, endless):
    """Yield a label and an image per line, again from the top if `endless`."""
    while True:
        with open(path) as csv_file:
            for line in csv_file:
                label, *cells = line.strip().split(",")
                pixels = np.array([int(cell) for cell in cells], dtype="uint8")
                yield label, pixels.reshape((64, 64, 3))
        if not endless:
            return


def published_generator(path, bs, lb, mode="train", aug=None):
    """Yield the batches that the published csv_image_generator yields."""
    rows = published_rows(path, endless=mode == "train")
    while batch := list(itertools.islice(rows, bs)):
        labels, images = zip(*batch)
        batch = np.array(images), lb.transform(np.array(labels))
        if aug is not None:
            batch = next(aug.flow(*batch, batch_size=bs))
        yield batch


def main():
    args = parse_args("flowers17_training.csv", "flowers17_testing.csv", 75, 32)
    tf.keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()
    bs = args.batch_size

    train_labels = [label for label, _ in published_rows(args.train_csv, endless=False)]
    test_labels = [label for label, _ in published_rows(args.test_csv, endless=False)]
    lb = LabelBinarizer().fit(train_labels)
    aug = ImageDataGenerator(
        rotation_range=20,
        zoom_range=0.15,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.15,
        horizontal_flip=True,
        fill_mode="nearest",
    )

    model = MiniVGGNet.build(64, 64, 3, len(lb.classes_))
    decayed = schedules.InverseTimeDecay(1e-2, 1, decay_rate=1e-2 / args.epochs)
    optimizer = SGD(learning_rate=decayed, momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        published_generator(args.train_csv, bs, lb, aug=aug),
        steps_per_epoch=len(train_labels) // bs,
        validation_data=published_generator(args.test_csv, bs, lb),
        validation_steps=len(test_labels) // bs,
        epochs=args.epochs,
        shuffle=False,
    )

    test_gen = published_generator(args.test_csv, bs, lb, mode="eval")
    probabilities = model.predict(test_gen, steps=len(test_labels) // bs + 1)
    true, predicted = lb.transform(test_labels), probabilities.argmax(axis=1)
    options = {"target_names": lb.classes_, "zero_division": 0}
    print(classification_report(true.argmax(axis=1), predicted, **options))


if __name__ == "__main__":
    main()
