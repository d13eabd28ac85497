"""Run the programs of the recipes' pages as a reader gets them, only shorter."""

import runpy
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from conftest import csv_bytes, make_rows
from tensorflow import keras

from pyimagesearch.recipes import __main__ as recipes

TRAIN, TEST = "flowers17_training.csv", "flowers17_testing.csv"
KINDS = ["iris", "rose", "lily", "daisy", "tulip", "pansy"]


def write_flowers(folder):
    """Write two small flower CSVs: six kinds, 12 rows of each and 6."""
    rows = make_rows(KINDS * 18)
    (folder / TRAIN).write_bytes(csv_bytes(rows[:72]))
    (folder / TEST).write_bytes(csv_bytes(rows[72:]))


def shorter_fit(limit):
    """Return a fit that stops after so many epochs, however many it is asked for."""
    fit = keras.Model.fit

    def short(*args, epochs=1, initial_epoch=0, **options):
        epochs = min(epochs, initial_epoch + limit)
        return fit(*args, epochs=epochs, initial_epoch=initial_epoch, **options)

    return short


def run_code(folder, code, epochs=1000):
    """Run a program in the folder, the current one; return its variables."""
    (folder / "block.py").write_text(code, encoding="utf-8")
    keras.utils.set_random_seed(0)
    with patch.object(keras.Model, "fit", shorter_fit(epochs)):
        return runpy.run_path(str(folder / "block.py"), run_name="__main__")


def run_page(folder, page, epochs=1000):
    """Write a page's program, and its later ones, with `python -m`; run the first."""
    with patch.object(sys, "argv", ["recipes", f"{page}.py"]):
        recipes.main()
    return run_code(folder, Path(f"{page}.py").read_text(encoding="utf-8"), epochs)


def lines_of(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


def run_ruff(folder, programs, *options):
    """Write programs to a new folder; ruff must find nothing in them."""
    folder.mkdir()
    for k, program in enumerate(programs):
        (folder / f"block_{k}.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "ruff", *options, "--isolated", folder]
    subprocess.run(command, check=True)
