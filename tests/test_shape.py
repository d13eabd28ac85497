"""Another shape or layout: change IMAGE_SHAPE and read_rows, run train.py."""

import shutil

import numpy as np
import pytest
from conftest import ROOT, start_python
from PIL import Image

from pyimagesearch.datasets import build_csv

# Each case: the shape, how the lines read, and how read_rows reads one of them.
LAYOUTS = {
    "header, label first": (
        (28, 28, 1),
        lambda label, image: [label, *image.ravel()],
        "label, pixels = line[0], line[1:]",
    ),
    "header, label last": (
        (8, 8, 3),
        lambda label, image: [*image.ravel(), label],
        "*pixels, label = line",
    ),
    "all pixels in one cell": (
        (48, 48, 1),
        lambda label, image: [label, " ".join(map(str, image.ravel())), "Usage"],
        "label, pixels = line[0], line[1].split()",
    ),
    "planar": (
        (32, 32, 3),
        lambda label, image: [label, *image.transpose(2, 0, 1).ravel()],
        "label = line[0]; pixels = np.reshape(line[1:], (3, 32, 32)).transpose(1, 2, 0)",
    ),
    "as the builder writes it": ((48, 80, 3), None, None),
}
READ_ROWS = """def read_rows(path):
    import csv
    with open(path, newline="") as csv_file:
        next(csv_file)  # the header
        for number, line in enumerate(csv.reader(csv_file)):
            {}
            yield f"row {{number}}", label, np.array(pixels, "uint8").reshape(IMAGE_SHAPE)


"""


def paint(shape, k):
    """Return an image of which no two rows, columns or channels are alike."""
    rows, columns, channels = np.indices(shape)
    return ((k + 5 * rows + 2 * columns + 50 * channels) % 256).astype("uint8")


# Importing TensorFlow takes seconds, so all copies of the project run in one process.
RUN_ALL = """if True:
    import runpy, sys
    import numpy as np
    from tensorflow import keras
    for folder in sys.argv[1:]:
        for name in [n for n in sys.modules if n.startswith("pyimagesearch")]:
            del sys.modules[name]
        sys.path.insert(0, folder)
        csvs = [f"{folder}/flowers17_{name}ing.csv" for name in ("train", "test")]
        if folder.startswith("as the builder"):
            sys.argv = ["build_csv", "--images", "photos", "--output", folder]
            runpy.run_module("pyimagesearch.datasets.build_csv", run_name="__main__")
        sys.argv = ["train.py", "-t", csvs[0], "-v", csvs[1], *"-e 1 -b 4".split()]
        sys.argv += ["-m", folder + "/m.keras"]
        names = runpy.run_path(folder + "/train.py", run_name="__main__")
        lb = names["LabelBinarizer"]().fit(["iris", "rose"])
        generator = names["csv_image_generator"](csvs[0], 6, lb)
        np.savez(folder + "/batch.npz", *next(generator))
        model = keras.models.load_model(folder + "/m.keras")
        assert model.input_shape[1:] == names["IMAGE_SHAPE"]
"""


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """A folder with a copy of the project for each layout, after a run of train.py."""
    top = tmp_path_factory.mktemp("layouts")
    for layout, (shape, write, read) in LAYOUTS.items():
        shutil.copytree(ROOT / "pyimagesearch", top / layout / "pyimagesearch")
        shutil.copy(ROOT / "train.py", top / layout)
        csv_rows = top / layout / "pyimagesearch" / "csv_rows.py"
        text, old = csv_rows.read_text(), "IMAGE_SHAPE = (64, 64, 3)"
        text = text.replace(old, f"IMAGE_SHAPE = {shape}")
        if read:
            start, end = text.index("def read_rows"), text.index("def parse_row")
            text = text[:start] + READ_ROWS.format(read) + text[end:]
            rows = zip(
                ["rose", "iris", "iris"] * 2, (paint(shape, k) for k in range(6))
            )
            lines = [",".join(map(str, write(*row))) + "\n" for row in rows]
            for name in ("training", "testing"):
                path = top / layout / f"flowers17_{name}.csv"
                path.write_text("header\n" + "".join(lines))
        csv_rows.write_text(text)
    for number in range(8):  # the builder shuffles them, so they are all alike
        for label in ("iris", "rose"):
            path = top / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(paint((48, 80, 3), 0)).save(path)
    process = start_python(top, "-c", RUN_ALL, *LAYOUTS, project=top)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.count(" 2 classes: iris, rose\n") == len(LAYOUTS)
    return top


@pytest.mark.parametrize("layout", LAYOUTS)
def test_train_py_runs_on_another_layout_and_sees_the_painted_pixels(top, layout):
    images, one_hot = np.load(top / layout / "batch.npz").values()
    shape, _, read = LAYOUTS[layout]
    wanted = [paint(shape, k if read else 0) for k in range(6)]
    np.testing.assert_array_equal(images, wanted)
    if read:
        assert one_hot[:, 1].tolist() == [1, 0, 0, 1, 0, 0]


def test_one_channel_is_grey(tmp_path, monkeypatch):
    picture = np.zeros((90, 120, 3), "uint8")
    picture[:, :60, 0] = 200
    Image.fromarray(picture).save(tmp_path / "red.png")
    monkeypatch.setattr(build_csv, "IMAGE_SHAPE", (24, 40, 1))
    image = build_csv.load_image(tmp_path / "red.png")
    assert image.shape == (24, 40, 1)
    assert (image[:, 0] == 60).all() and (image[:, -1] == 0).all()  # 0.299 red
