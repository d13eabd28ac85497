"""Measure what a batch costs, in processor time, side by side in one run.

`python tests/bench_generator.py [CSV]` reads batches of 32 from the CSV, or from one
with random pixels, and trains on them. Times differ from machine to machine; the ratios
at the end are what to compare.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.preprocessing import LabelBinarizer

sys.path.insert(0, str(Path(__file__).parent.parent))

from published import published_generator

from pyimagesearch.check_csv import read_labels
from train import build_augmenter, build_model, csv_image_generator

BS = 32
ROUNDS = 9


def lines(path, bs):
    """Yield the same lines, and do nothing with them."""
    while True:
        with open(path, "rb", buffering=2**20) as csv_file:
            while batch := list(itertools.islice(csv_file, bs)):
                yield batch


def tf_data(path, bs, lb):
    """Yield the same batches from a tf.data pipeline."""
    classes = tf.constant(lb.classes_)

    def parse(line):
        cells = tf.strings.split(line, ",")
        image = tf.reshape(tf.strings.to_number(cells[1:]), (64, 64, 3))
        return image, tf.cast(cells[0] == classes, tf.float32)

    dataset = tf.data.TextLineDataset(str(path)).map(parse).repeat().batch(bs)
    # Reading ahead in a thread would charge this work to the next generator.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return iter(dataset.with_options(options))


def augmenter(path, bs, lb, aug):
    """Augment one batch again and again, without reading anything."""
    images, labels = next(csv_image_generator(path, bs, lb))
    while True:
        yield next(aug.flow(images, labels, batch_size=bs))


def trained(batches, classes):
    """Train MiniVGGNet on the batches, one per next()."""
    model = build_model(classes, epochs=1)
    for images, labels in batches:
        yield model.train_on_batch(images, labels)


def measure(generators, batches):
    """Return each generator's milliseconds of processor time per batch, over the rounds."""
    times = {name: [] for name in generators}
    for generator in generators.values():
        next(generator)
    # In turn, so that a slow minute of the machine is slow for all of them.
    for _ in range(ROUNDS):
        for name, generator in generators.items():
            start = time.process_time()
            for _ in range(batches):
                next(generator)
            times[name].append((time.process_time() - start) * 1000 / batches)
    return times


def peak_memory(path, lb):
    """Return the peak memory, in bytes, of one pass over the file."""
    steps = -(-len(read_labels(path)) // BS)
    tracemalloc.start()
    for _ in itertools.islice(csv_image_generator(path, BS, lb, "eval"), steps):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "csv", nargs="?", help="the CSV to read (default: random pixels)"
    )
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        path = args.csv
        if path is None:
            path = Path(folder) / "random.csv"
            rows = np.random.default_rng(0).integers(0, 256, (256, 64 * 64 * 3))
            text = "\n".join(
                f"kind{k % 17}," + ",".join(map(str, r)) for k, r in enumerate(rows)
            )
            path.write_text(text + "\n")
        lb = LabelBinarizer().fit(read_labels(path))
        aug = build_augmenter()
        times = measure(
            {
                "lines": lines(path, BS),
                "ours": csv_image_generator(path, BS, lb),
                "published": published_generator(path, BS, lb),
                "tf.data": tf_data(path, BS, lb),
                "ours, augmented": csv_image_generator(path, BS, lb, aug=aug),
                "published, augmented": published_generator(path, BS, lb, aug=aug),
            },
            batches=8,
        )
        arrays = itertools.repeat(next(csv_image_generator(path, BS, lb)))
        steps = {
            "step on arrays": arrays,
            "step on ours": csv_image_generator(path, BS, lb),
            "step on arrays, augmented": augmenter(path, BS, lb, aug),
            "step on ours, augmented": csv_image_generator(path, BS, lb, aug=aug),
        }
        classes = len(lb.classes_)
        steps = {name: trained(batches, classes) for name, batches in steps.items()}
        times |= measure(steps, batches=3)
        long_csv = Path(folder) / "long.csv"
        long_csv.write_bytes(Path(path).read_bytes() * 10)
        memory = peak_memory(long_csv, lb) / peak_memory(path, lb)

    print(f"milliseconds of processor time per batch of {BS}: median (least to most)")
    for name, values in times.items():
        spread = f"({min(values):.2f} to {max(values):.2f})"
        print(f"{name:>25} {statistics.median(values):8.2f} {spread}")
    print("ratios, median (least to most of the rounds)")
    for name, other, goal in [
        ("published", "ours", "at least 5.5"),
        ("published, augmented", "ours, augmented", "at least 2.5"),
        ("tf.data", "ours", "at least 2"),
        ("step on ours", "step on arrays", "at most 1.05"),
        ("step on ours, augmented", "step on arrays, augmented", "at most 1.1"),
    ]:
        ratios = [a / b for a, b in zip(times[name], times[other])]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        ratio = statistics.median(ratios)
        print(f"{name + ' / ' + other:>51} {ratio:6.2f} {spread}; goal: {goal}")
    print(f"{'peak memory, ten times the rows':>51} {memory:6.3f}; goal: at most 1.05")


if __name__ == "__main__":
    main()
