"""IMAGE_SHAPE is the one line to change for images of another shape."""

import shutil
import subprocess
import sys

import numpy as np
from conftest import ROOT
from PIL import Image
from tensorflow import keras

from pyimagesearch import build_csv

BUILD_AND_TRAIN = """if True:
    import sys
    from pyimagesearch import build_csv, check_csv
    import train
    for module, options in [
        (build_csv, "--images photos"),
        (check_csv, ""),
        (train, "-e 1 -b 4 -m model.keras"),
    ]:
        sys.argv = [module.__name__, *options.split()]
        module.main()
"""


def test_another_shape_builds_checks_and_trains(tmp_path):
    shape = (48, 80, 3)
    shutil.copy(ROOT / "train.py", tmp_path)
    shutil.copytree(ROOT / "pyimagesearch", tmp_path / "pyimagesearch")
    csv_rows = tmp_path / "pyimagesearch" / "csv_rows.py"
    old, new = "IMAGE_SHAPE = (64, 64, 3)", f"IMAGE_SHAPE = {shape}"
    assert csv_rows.read_text().count(old) == 1
    csv_rows.write_text(csv_rows.read_text().replace(old, new))

    # The left half is red, so width and height can't be mixed up unnoticed.
    picture = np.zeros((90, 120, 3), "uint8")
    picture[:, :60, 0] = 200
    for label in ("iris", "rose"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(picture).save(tmp_path / f"photos/{label}/{number}.png")
    subprocess.run([sys.executable, "-c", BUILD_AND_TRAIN], cwd=tmp_path, check=True)

    for name, rows in (("training", 12), ("testing", 4)):
        lines = (tmp_path / f"flowers17_{name}.csv").read_text().splitlines()
        assert len(lines) == rows
        for line in lines:
            image = np.array(line.split(",")[1:], int).reshape(shape)
            assert (image[:, 0, 0] == 200).all() and (image[:, -1] == 0).all()
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.input_shape == (None, *shape)


def test_one_channel_is_grey(tmp_path, monkeypatch):
    picture = np.zeros((90, 120, 3), "uint8")
    picture[:, :60, 0] = 200
    Image.fromarray(picture).save(tmp_path / "red.png")
    monkeypatch.setattr(build_csv, "IMAGE_SHAPE", (24, 40, 1))
    image = build_csv.load_image(tmp_path / "red.png")
    assert image.shape == (24, 40, 1)
    assert (image[:, 0] == 60).all() and (image[:, -1] == 0).all()  # 0.299 red
