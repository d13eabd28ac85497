"""Every Python block of README.md runs as it stands after the set-up, on small data.

A block's first line may say more than ```python: "alone" needs no set-up; "devices"
runs on two logical CPU devices in place of two GPUs; "workers" is a script of its own
for two processes.
"""

import functools
import re
import runpy
import shutil

import numpy as np
import pytest
from conftest import ROOT, Recorder, csv_bytes, make_rows, start_python
from PIL import Image
from tensorflow import keras

from pyimagesearch.safe_files import save_model

TRAIN, TEST = "flowers17_training.csv", "flowers17_testing.csv"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```(\w+) ?([^\n]*)\n(.*?)^```$", README)
FIRST, SETUP, *PYTHON = [block[1:] for block in BLOCKS if block[0] == "python"]
PYTHON.sort(key=lambda block: "load_model" in block[1])  # after the one that saves it
SHELL = [code for language, _, code in BLOCKS if language == "sh"]

TWO_DEVICES = """if True:
    import functools
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    two_devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two_devices)
    tf.distribute.MirroredStrategy = functools.partial(
        tf.distribute.MirroredStrategy, devices=["CPU:0", "CPU:1"]
    )
"""
# fit's own validation and the saved model agree: the moving averages are in step.
CHECK_DEVICES = """
assert strategy.num_replicas_in_sync == 2
model.save("devices.keras")
saved = keras.models.load_model("devices.keras")
loss, _ = saved.evaluate(build_validation_data(test_csv, bs, lb), steps=ceil(40 / bs))
assert abs(loss / model.history.history["val_loss"][0] - 1) < 1e-3, loss
"""

# Continues the block: trains on numbered rows, and writes down which ones are used.
NUMBERED_ROWS = """
used = []
class Model(keras.Sequential):
    def train_step(self, batch):
        tf.numpy_function(used.extend, [batch[1]], [])
        return super().train_step(batch)
def batches(bs):
    for first in range(0, 100, bs):
        yield np.zeros((bs, 1), "float32"), np.arange(first, first + bs)
with strategy.scope():
    model = Model([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

model.fit(batches(8), steps_per_epoch=6, verbose=0, shuffle=False)
assert len(set(used)) == len(used) == 6 * 8, used  # nothing lost, nothing twice
assert set(range(16)) < set(used) != set(range(48)), used  # some are skipped
try:
    model.fit(batches(7), steps_per_epoch=2, verbose=0, shuffle=False)
except tf.errors.InvalidArgumentError:
    print("an odd batch fails")
"""

# Writes down which rows of its CSV a worker trains on.
RECORD_ROWS = """if True:
    import runpy, sys
    import numpy as np
    import train
    rows, generator = [], train.csv_image_generator
    def recording_generator(*args, **options):
        for images, labels in generator(*args, **options):
            rows.extend(images[:, 0, 0, 0])
            yield images, labels
    train.csv_image_generator = recording_generator
    runpy.run_path("worker.py", run_name="__main__")
    np.save(f"rows{sys.argv[1]}.npy", rows)
"""


def find_block(text):
    (code,) = [code for _, code in PYTHON if text in code]
    return code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader's folder: the two CSVs, a picture, a folder of photographs, a list."""
    folder = tmp_path_factory.mktemp("readme")
    labels = ["iris", "rose", "lily", "daisy", "rose", "iris"] * 8
    (folder / TRAIN).write_bytes(csv_bytes(make_rows(labels)))
    (folder / TEST).write_bytes(csv_bytes(make_rows(labels[:40], 1)))
    photos = folder / "flower_photos"
    for k, (_, image) in enumerate(make_rows(["rose"] * 12, 2)):
        path = photos / ("roses", "tulips")[k % 2] / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    shutil.copy(path, folder / "my_flower.jpg")
    names = [path.relative_to(photos) for path in photos.glob("*/*.jpg")]
    lines = "\n".join(f"{name.parent},{name}\n" for name in names)
    (folder / "files.csv").write_text(f"\ufeff{lines}", encoding="utf-8")
    digits = [(f"{k}", np.arange(784) % (k + 2)) for k in range(6)]
    header = ",".join(["label", *(f"pixel{k}" for k in range(784))])
    (folder / "digits.csv").write_bytes(f"{header}\n".encode() + csv_bytes(digits))
    unlabelled = csv_bytes(make_rows(["rose"] * 5, 3)).replace(b"rose,", b"")
    (folder / "unlabelled.csv").write_bytes(unlabelled)
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@functools.cache
def run_block(folder, code, run_name="__main__", setup=SETUP[1]):
    """Run a block after the set-up, once; return its variables."""
    (folder / "block.py").write_text(setup + code)
    return runpy.run_path(str(folder / "block.py"), run_name=run_name)


@pytest.mark.parametrize(
    ("kind", "code"), PYTHON, ids=[f"block{k}" for k in range(3, len(PYTHON) + 3)]
)
def test_a_python_block_runs(in_folder, kind, code):
    if kind == "":
        run_block(in_folder, code)
    else:
        assert kind in ("devices", "workers"), f"no block of the kind {kind!r} is known"


def test_the_first_block_learns(in_folder):
    kind, code = FIRST
    assert kind == "alone" and code.count("\n") <= 36
    code = code.replace("epochs=5", "epochs=99")  # of only one step each
    history = run_block(in_folder, code, setup="")["model"].history.history
    assert history["accuracy"][-1] > 0.9


def test_numbers_are_learned(in_folder):
    history = run_block(in_folder, find_block("load_iris"))["model"].history.history
    assert history["accuracy"][-1] > 0.9


def test_file_names_with_blank_lines_and_a_byte_order_mark(in_folder):
    found = run_block(in_folder, find_block('"files.csv"'))
    assert found["file_lb"].classes_.tolist() == ["roses", "tulips"]
    assert len(found["file_labels"]) == 12
    for image, row in zip(found["images"], found["one_hot"]):
        folder = in_folder / "flower_photos" / found["file_lb"].classes_[row.argmax()]
        photos = [np.array(Image.open(path)) for path in folder.iterdir()]
        assert any((image == photo).all() for photo in photos)


def test_another_layout_has_its_pixels_and_labels_in_place(in_folder):
    found = run_block(in_folder, find_block("DictReader"))
    for k, (image, row) in enumerate(zip(found["images"], found["one_hot"])):
        assert found["digit_lb"].classes_[row.argmax()] == str(k)
        np.testing.assert_array_equal(image.ravel(), np.arange(784) % (k + 2))
    assert (in_folder / "look.png").read_bytes().startswith(b"\x89PNG")


def test_images_without_labels_come_in_order_and_the_last_batch_is_shorter(in_folder):
    generator = run_block(in_folder, find_block("unlabelled"))["unlabelled_generator"]
    batches = list(generator("unlabelled.csv", 2))
    assert [len(batch) for batch in batches] == [1, 1, 1]
    images = np.concatenate([images for (images,) in batches])
    wanted = [image for _, image in make_rows(["rose"] * 5, 3)]
    np.testing.assert_array_equal(images, wanted)
    model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()])
    predicted = model.predict(generator("unlabelled.csv", 2), verbose=0)
    np.testing.assert_array_equal(predicted, np.reshape(wanted, (5, -1)))


def test_weights_follow_the_labels(in_folder):
    found = run_block(in_folder, find_block("two_input_generator"))
    lb = found["lb"]
    inputs, one_hot, weights = next(found["two_input_generator"](TRAIN, 20, lb))
    is_iris = lb.classes_[one_hot["kind"].argmax(axis=1)] == "iris"
    assert weights["kind"].tolist() == np.where(is_iris, 2, 1).tolist()
    means = inputs["image"].mean(axis=(1, 2))
    np.testing.assert_array_equal(inputs["mean_colour"], means)
    found = run_block(in_folder, find_block("compute_class_weight"))
    _, one_hot, weights = next(found["weighted_generator"](TRAIN, 48, lb))
    totals = weights @ one_hot  # every class counts the same
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)


def test_one_picture_gets_a_name_of_the_saved_model(in_folder, capsys):
    dense = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    layers = [keras.Input((64, 64, 3)), keras.layers.Flatten(), dense]
    model = keras.Sequential(layers)
    model.layers[-1].bias.assign([0.0, 9.0, 0.0])
    save_model(model, ["tulips", "weeds", "zinnias"], in_folder / "other.keras")
    code = find_block("my_flower.jpg").replace("flowers.", "other.")
    run_block(in_folder, code)
    assert "weeds 1.00" in capsys.readouterr().out


def test_what_the_page_says_of_several_gpus(in_folder):
    code = find_block("tf.distribute.MirroredStrategy")
    code = TWO_DEVICES + SETUP[1] + code + CHECK_DEVICES + NUMBERED_ROWS
    output, errors = start_python(in_folder, "-c", code).communicate()
    assert "an odd batch fails" in output, errors


def test_each_of_several_machines_trains_on_its_share_of_the_rows(in_folder):
    (in_folder / "worker.py").write_text(find_block("MultiWorkerMirroredStrategy"))
    processes = [start_python(in_folder, "-c", RECORD_ROWS, task) for task in (0, 1)]
    outputs = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    models = [keras.models.load_model(in_folder / f"worker{k}.keras") for k in (0, 1)]
    with open(in_folder / TRAIN) as csv_file:
        firsts = [int(line.split(",")[1]) for line in csv_file]
    for task, model in enumerate(models):
        share = firsts[task::2] * 2
        # Two epochs of one batch of 16.
        assert np.load(in_folder / f"rows{task}.npy").tolist() == share[:32]
        assert int(model.optimizer.iterations) == 2
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(one, other)


# Runs shell commands in one process: importing TensorFlow takes seconds.
RUN_COMMANDS = """if True:
    import runpy, subprocess, sys
    for command in sys.argv[1].splitlines():
        for name in [name for name in sys.modules if "pyimagesearch" in name]:
            del sys.modules[name]
        sys.argv = command.split()[1:]
        if not command.startswith("python "):
            subprocess.run(command, shell=True, check=True)
        elif sys.argv[0] == "-m":
            runpy.run_module(sys.argv.pop(0) and sys.argv[0], run_name="__main__")
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_your_own_images_in_the_usual_size_then_in_another(folder, tmp_path):
    shutil.copytree(folder / "flower_photos", tmp_path / "flower_photos")
    shutil.copytree(ROOT / "pyimagesearch", tmp_path / "pyimagesearch")
    shutil.copy(ROOT / "train.py", tmp_path)
    usual, other = [code for code in SHELL if "flower_photos" in code]
    code = (usual + other).replace("-e 5", "-e 1")
    process = start_python(tmp_path, "-c", RUN_COMMANDS, code, project=tmp_path)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "roses" in output and output.count("weighted avg") == 2
    for name, values in (("my_flowers", 64 * 64 * 3), ("grey", 32 * 32)):
        with open(tmp_path / name / TEST) as csv_file:
            assert {line.count(",") for line in csv_file} == {values}


def test_layers_augment_in_a_call_but_not_in_predict(in_folder):
    model = run_block(in_folder, find_block("RandomRotation"))["model"]
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    layers = keras.Sequential(model.layers[:-1])
    scaled = images / np.float32(255)
    assert np.abs(np.array(layers(images)) - scaled).max() > 0.1
    np.testing.assert_allclose(layers(images, training=False), scaled, rtol=1e-6)
    np.testing.assert_allclose(layers.predict(images, verbose=0), scaled, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}]
)
def test_several_workers_give_each_row_once_per_epoch(in_folder, options):
    found = run_block(in_folder, find_block("class CsvDataset"), run_name="recipe")
    lb, labels, model = found["lb"], found["labels"], Recorder()
    dataset = found["CsvDataset"](TRAIN, 16, lb, **options)
    model.fit(dataset, epochs=2)
    epochs = [np.concatenate(batches) for batches in model.trained]
    first, second = [[*map(bytes, images)] for images in epochs]
    assert len(set(first)) == len(labels)
    assert sorted(first) == sorted(second) and first != second
    ordered = found["CsvDataset"](TRAIN, 16, lb, shuffle=False, **options)
    one_hot = model.predict(ordered, verbose=0)
    assert lb.classes_[np.argmax(one_hot, axis=1)].tolist() == labels


def test_the_test_command_is_the_one_that_ci_runs():
    (command,) = [code.strip() for code in SHELL if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_every_link_within_the_page_and_the_project_leads_somewhere():
    headings = re.findall(r"(?m)^#+ (.*)$", README)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target
