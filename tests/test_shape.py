"""IMAGE_SHAPE is the one line to change for images of another shape."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from tensorflow import keras

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


@pytest.mark.parametrize("shape", [(24, 40, 1), (48, 80, 3)], ids=str)
def test_another_shape_builds_checks_and_trains(tmp_path, shape):
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
            red = 200 if shape[2] == 3 else 60  # 0.299 of it, in grey
            assert (image[:, 0, 0] == red).all() and (image[:, -1] == 0).all()
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.input_shape == (None, *shape)
