"""Measure what reading from the CSV costs, in processor time of whole processes.

`python tests/bench_generator.py` runs four programs for 2 epochs, in turn, three times
over. What is timed in one process changes what is timed after it, so each is a process
of its own; user and system time both count. Compare the ratios at the end.

All run with oneDNN off, which TensorFlow switches on by the processor: its allocator
keeps memory by itself, so that published.py costs hardly more than train.py.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.preprocessing import LabelBinarizer

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pyimagesearch.csv_rows import read_labels

ROUNDS, EPOCHS = 3, 2
TRAIN_CSV, TEST_CSV = ROOT / "flowers17_training.csv", ROOT / "flowers17_testing.csv"
OPTIONS = ["-t", TRAIN_CSV, "-v", TEST_CSV, "-e", EPOCHS, "--seed", 1]
PROGRAMS = {
    "published": [ROOT / "tests" / "published.py", *OPTIONS],
    "train.py": [ROOT / "train.py", *OPTIONS],
    "generator": [__file__, "generator"],
    "arrays": [__file__, "arrays"],
}


def fit_on(kind):
    """Train MiniVGGNet on the generator or on arrays, without augmentation."""
    import train

    labels = read_labels(TRAIN_CSV)
    lb, steps = LabelBinarizer().fit(labels), len(labels) // 32
    if kind == "generator":
        os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "true"  # as in train.py
        data = train.csv_image_generator(TRAIN_CSV, 32, lb), None, None
    else:
        data = *next(train.csv_image_generator(TRAIN_CSV, 32 * steps, lb)), 32
    model = train.build_model(len(lb.classes_), EPOCHS)
    model.fit(*data, EPOCHS, steps_per_epoch=steps, shuffle=False)


def seconds(program, folder):
    """Run one program; return its processor time, user and system, in seconds."""
    command = [sys.executable, *map(str, PROGRAMS[program])]
    env = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"}
    before = sum(os.times()[2:4])  # the children's user and system time
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return sum(os.times()[2:4]) - before


def main():
    times = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, measured in times.items():
                measured.append(seconds(name, folder))
                print(f"{name:>9} {measured[-1]:6.1f} s", flush=True)
    for name, other, goal in (
        ("published", "train.py", "at least 1.4"),
        ("generator", "arrays", "at most 1.15"),
    ):
        ratios = np.divide(times[name], times[other])
        spread = f"({min(ratios):.2f} to {max(ratios):.2f}, oneDNN off)"
        print(f"{name} / {other}: {np.median(ratios):.2f} {spread}; goal: {goal}")


if __name__ == "__main__":
    fit_on(sys.argv[1]) if sys.argv[1:] else main()
