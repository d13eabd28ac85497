"""Every Python block of the two pages runs as it stands, alone, on small data.

README.md: "alone" needs no other block, "generator" is train.py's own text; "old",
"new" and "template" are fragments. RECIPES.md: the blocks "own" form one program, after
which "own-later" runs; the blocks "angles" another, which "several" or one "after
angles" follows; those without a word, or with a saved flowers.keras, follow "set-up";
"devices" runs on two logical CPU devices in place of two GPUs, "workers" twice.
"""

import ast
import functools
import inspect
import re
import runpy
import shutil
import socket
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, Recorder, csv_bytes, make_rows, run_python, start_python
from PIL import Image
from sklearn.datasets import load_digits
from tensorflow import keras

import train
from pyimagesearch.csv_rows import InputError, read_rows
from pyimagesearch.images import load_image
from pyimagesearch.safe_files import save_model

README, RECIPES = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "pyimagesearch/RECIPES.md")
)
BLOCK = r"(?ms)^```(\w+) ?([^\n]*)\n(.*?)^```$"
FIRST, _, GENERATOR, OLD, NEW = [
    code for language, _, code in re.findall(BLOCK, README) if language == "python"
]
SHELL = [
    code
    for language, _, code in re.findall(BLOCK, README + RECIPES)
    if language == "sh"
]
BLOCKS = [block[1:] for block in re.findall(BLOCK, RECIPES) if block[0] == "python"]
TRAIN, TEST = "flowers17_training.csv", "flowers17_testing.csv"


def blocks(kind):
    return [code for other, code in BLOCKS if other == kind]


(SETUP,), (LATER,) = map(blocks, ["set-up", "own-later"])
SINGLE = [
    (SETUP + code if kind in ("", "flowers.keras") else code)
    for kind, code in BLOCKS
    if kind in ("", "flowers.keras", "alone", "alone flowers.keras")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reader's folder: two CSVs, pictures, lists of their names, a saved model."""
    folder = tmp_path_factory.mktemp("pages")
    labels = ["iris", "rose", "lily", "daisy", "rose", "iris"] * 8
    (folder / TRAIN).write_bytes(csv_bytes(make_rows(labels)))
    (folder / TEST).write_bytes(csv_bytes(make_rows(labels[:40], 1)))
    photos = folder / "flower_photos"
    for k, (label, image) in enumerate(make_rows(["roses", "tulips"] * 8, 2)):
        path = photos / label / f"{k}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    names = [path.relative_to(photos) for path in sorted(photos.glob("*/*.jpg"))]
    lines = "\n".join(f"{name.parent},{name}\n" for name in names)
    (folder / "files.csv").write_text(f"\ufeff{lines}", encoding="utf-8")
    shutil.copy(path, folder / "my_flower.jpg")
    for kind in ("pets", "new_photos"):
        (folder / kind).mkdir()
        for k in range(34):  # more than a batch
            name = f"{'cat' if k % 2 else 'dog'}.{k:02}.jpg"
            shutil.copy(photos / names[k % 16], folder / kind / name)
    model = train.build_model(4, epochs=3)
    model.optimizer.build(model.trainable_variables)
    save_model(model, ["daisy", "iris", "lily", "rose"], folder / "flowers.keras")
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@functools.cache
def run(folder, code, run_name="__main__"):
    """Run a program in the folder, once; return its variables."""
    (folder / "block.py").write_text(code, encoding="utf-8")
    keras.utils.set_random_seed(0)
    return runpy.run_path(str(folder / "block.py"), run_name=run_name)


def find_block(text):
    (code,) = [code for code in SINGLE if text in code.removeprefix(SETUP)]
    return code


@pytest.mark.parametrize("code", SINGLE, ids=range(len(SINGLE)))
def test_a_block_runs(in_folder, code):
    run(in_folder, code)


def test_every_kind_of_block_is_known():
    kinds = "own|own-later|angles|after angles( masks)?|several|set-up|layout|momentum"
    kinds += "|devices|workers|(alone ?)?(flowers.keras)?"
    assert [kind for kind, _ in BLOCKS if not re.fullmatch(kinds, kind)] == []


def test_the_cure_for_few_pictures_reaches_every_moving_average():
    names = {"tf": tf, "model": train.build_model(2, 1)}
    exec(*blocks("momentum"), names)  # noqa: S102
    momenta = [getattr(layer, "momentum", 0.9) for layer in names["model"].layers]
    assert set(momenta) == {0.9}


# README.md


def test_the_first_block_learns_and_ends_with_a_prediction(in_folder, capsys):
    # A batch of 8 makes 6 steps of 48 rows.
    code = FIRST.replace("epochs=5", "epochs=30").replace("32", "8")
    history = run(in_folder, code)["model"].history.history
    assert history["accuracy"][-1] > 0.9
    assert re.search(r"predicted: \w+ true: iris\n$", capsys.readouterr().out)


def test_the_lesson_is_short_and_shows_train_pys_generator():
    assert len(README) <= 28_000
    assert README.index("```python") < 1200
    assert FIRST.count("\n") <= 45
    *_, body = inspect.getsource(train.csv_image_generator).split('"""')
    signature = inspect.getsource(train.csv_image_generator).split('    """')[0]
    assert GENERATOR == signature + body.lstrip("\n")


def test_the_new_call_of_fit_runs_and_the_old_one_parses(in_folder):
    ast.parse(OLD)
    names = {"train_gen": None, "test_csv": TEST} | run(in_folder, SETUP)
    names["train_gen"] = train.csv_image_generator(TRAIN, 8, names["lb"])
    names |= {"model": train.build_model(4, 1), "SGD": keras.optimizers.SGD}
    names |= {"InverseTimeDecay": keras.optimizers.schedules.InverseTimeDecay}
    exec(NEW.replace("1020 // 32", "2").replace("epochs=75", "epochs=1"), names)  # noqa: S102
    assert names["model"].optimizer.iterations == 2


def test_the_test_command_is_the_one_that_ci_runs():
    (command,) = [code.strip() for code in SHELL if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_every_link_leads_somewhere():
    def anchors(page):
        headings = re.findall(r"(?m)^#+ (.*)$", re.sub(BLOCK, "", page))
        return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}

    for page, top in ((README, ROOT), (RECIPES, ROOT / "pyimagesearch")):
        for target in re.findall(r"\]\(((?!http)[^)]+)\)", page):
            file, _, anchor = target.partition("#")
            path = (top / file) if file else None
            assert path is None or path.exists(), target
            if anchor:
                recipes = path.name == "RECIPES.md" if path else page is RECIPES
                assert anchor in anchors(RECIPES if recipes else README), target


# The whole program for one's own CSV


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder in which the whole program ran, its variables, the later process."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        found = run(folder, "\n".join(blocks("own")))
        run_python(folder, "-c", LATER)
    return folder, found


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_each_row_is_in_one_part_and_the_submission_is_right(own):
    folder, _ = own
    digits = load_digits()
    wanted = [",".join(map(str, [*row])) for row in digits.data.astype(int)]
    rows = []
    for name in ("training", "validation", "testing"):
        header, *lines = lines_of(folder / f"digits_{name}.csv")
        assert header.startswith("label,pixel_0_0,")
        assert {line[0] for line in lines} == set("0123456789")
        rows += lines
    header, *contest = lines_of(folder / "contest.csv")
    assert header.startswith("id,pixel_0_0,")
    labelled = [f"{label},{row}" for label, row in zip(digits.target, wanted)]
    assert sorted(rows) == sorted(labelled[:1500])
    assert contest == [f"{k},{wanted[k]}" for k in range(1500, 1797)]
    # The submission is right, and in the contest's order.
    header, *lines = lines_of(folder / "submission.csv")
    ids, labels = zip(*(line.split(",") for line in lines))
    assert header == "id,label" and ids == tuple(map(str, range(1500, 1797)))
    assert np.mean(np.array(labels, int) == load_digits().target[1500:]) >= 0.9


def test_the_saved_model_is_that_of_the_best_epoch(own):
    folder, found = own
    model = keras.models.load_model(folder / "digits.keras")
    labels, rows = found["validation_labels"], found["read_rows"]
    images = [image for *_, image in rows(folder / "digits_validation.csv")]
    one_hot = found["lb"].transform(labels)
    loss, _ = model.evaluate(np.array(images, "float32"), one_hot, verbose=0)
    losses = found["history"].history["val_loss"]
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert min(losses) < losses[-1]  # or this test would notice nothing
    assert lines_of(folder / "digits.classes.txt") == list("0123456789")
    for picture in ("look.png", "confusion.png"):
        assert np.array(Image.open(folder / picture)).std() > 10


# Your data


def test_file_names_come_in_a_new_order_each_pass_and_each_once(in_folder):
    found = run(in_folder, find_block("read_shuffled"))
    passes = [[bytes(i) for *_, i in found["read_shuffled"]("files.csv")] for _ in "12"]
    in_order = [bytes(image) for *_, image in found["read_files"]("files.csv")]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(in_order)
    assert passes[0] != passes[1] and len(set(in_order)) == 16
    assert found["lb"].classes_.tolist() == ["roses", "tulips"]
    assert "line 1 ('roses,roses" in next(found["read_files"]("files.csv"))[0]
    # A truncated picture is named with its row.
    half = (in_folder / "my_flower.jpg").read_bytes()[:900]
    (in_folder / "flower_photos" / "half.jpg").write_bytes(half)
    (in_folder / "half.csv").write_text("roses,half.jpg\n")
    with pytest.raises(InputError) as error:
        list(found["read_files"]("half.csv"))
    assert str(error.value).startswith("half.csv, line 1 ('roses,half.jpg'): ")
    assert "half.jpg: " in str(error.value)
    # The class may be a part of the file name.
    run(in_folder, find_block('Path("pets")'))
    lines = lines_of(in_folder / "pets.csv")
    assert lines[0] == "cat,cat.01.jpg" and lines[-1] == "dog,dog.32.jpg"


def test_a_folder_of_pictures_is_named_picture_by_picture(in_folder):
    found = run(in_folder, find_block("new_photos"))
    header, *lines = lines_of(in_folder / "predictions.csv")
    assert header == "file,label,probability" and len(lines) == 34
    model, names = found["model"], found["names"]
    for line, path in zip(lines, sorted((in_folder / "new_photos").iterdir())):
        name, label, probability = line.split(",")
        image = load_image(path)[np.newaxis].astype("float32")
        (row,) = model.predict(image, verbose=0)
        assert name == path.name and label == names[row.argmax()]
        assert float(probability) == pytest.approx(row.max(), abs=0.006)


def test_from_a_folder_to_arrays_keeps_the_pixels_and_saves_all(in_folder):
    found = run(in_folder, find_block("own.keras"))
    assert found["images"].max() > 200
    assert lines_of(in_folder / "own.classes.txt") == ["roses", "tulips"]
    model = keras.models.load_model(in_folder / "own.keras")
    assert model.predict(found["images"][:2], verbose=0).shape == (2, 2)


@pytest.fixture(scope="module")
def angles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("angles")
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        return run(folder, "\n".join(blocks("angles")).replace("epochs=10", "epochs=4"))


def test_the_angle_is_learned_from_mirrored_roads(angles):
    truth, predicted = angles["test_angles"], angles["predicted"]
    assert predicted.shape == truth.shape == (100,)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.9


def test_the_rate_of_build_model_ends_in_nan_and_scaled_prices_do_not(angles):
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1))
    degrees, prices = np.linspace(-40, 40, 40), np.linspace(2_000, 18_000, 40)
    read = lambda path: (("", price, None) for price in prices)
    scaled = after_angles(angles | {"read_rows": read}, "spread")["model"]
    model = keras.models.clone_model(angles["model"])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    assert np.isnan(model.fit(images, degrees, 4, 4, 0).history["loss"][-1])
    assert np.isfinite(scaled.fit(images, prices, 4, 4, 0).history["loss"][-1])


@pytest.mark.parametrize(("mode", "sizes"), [("train", "2222"), ("eval", "2212")])
def test_the_generator_of_targets_gives_each_row(angles, tmp_path, mode, sizes):
    path = tmp_path / "x.csv"
    path.write_bytes(csv_bytes((f"{k}.5", np.full((32, 32), k)) for k in range(5)))
    generator = angles["csv_target_generator"](path, 2, mode)
    batches = list(islice(generator, 4))
    assert "".join(str(len(targets)) for _, targets in batches) == sizes
    targets = np.concatenate([targets for _, targets in batches])
    assert targets.tolist() == [k % 5 + 0.5 for k in range(sum(map(int, sizes)))]
    images = np.concatenate([images for images, _ in batches])
    assert (images[:, 0, 0, 0] == targets - 0.5).all() and images.dtype == "float32"
    path.write_text(f"\nold,{','.join('1' * 1024)}\n")
    with pytest.raises(InputError, match="x.csv, line 2 .*'old' to float32"):
        next(angles["csv_target_generator"](path, 2))


def after_angles(angles, text):
    (code,) = [code for code in blocks("after angles") if text in code]
    names = dict(angles)
    exec(code, names)  # noqa: S102
    return names


def test_several_labels_are_learned(angles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    names = dict(angles)
    exec("\n".join(blocks("several")), names)  # noqa: S102
    truth = names["truth"]
    assert names["predicted"].shape == truth.shape == (100, 3)
    assert (names["predicted"] == truth).mean() > 0.9
    cells = [line.split(",")[0] for line in lines_of(Path("several_testing.csv"))]
    for cell, row in zip(cells, truth):
        assert cell.split() == [n for n, k in zip(names["NAMES"], row) if k]
    Path("x.csv").write_bytes(csv_bytes([("down sqare", np.zeros((32, 32), int))]))
    with pytest.raises(InputError, match="x.csv, line 1 .*sqare"):
        list(names["read_rows_of_several"]("x.csv"))


def test_an_angle_and_a_point_move_with_their_mirrored_picture(angles, tmp_path):
    images = np.arange(64.0).reshape(16, 2, 2, 1)
    mirrored, targets = next(angles["Mirror"]().flow(images.copy(), np.ones(16), 16))
    assert {*targets} == {-1, 1}
    for image, new, target in zip(images, mirrored, targets):
        np.testing.assert_array_equal(new, image[:, ::-1] if target < 0 else image)

    names = after_angles(angles, "read_points")
    pictures = np.zeros((32, 32, 32), int)
    for k in range(32):
        pictures[k, 5, k] = 255
    path = tmp_path / "x.csv"
    path.write_bytes(csv_bytes((f"{k},5", pictures[k]) for k in range(32)))
    generator = names["csv_target_generator"](
        path, 32, aug=names["MirrorPoints"](), read_rows=names["read_points"]
    )
    images, points = next(generator)
    for image, (column, row) in zip(images, points):
        assert np.argwhere(image).tolist() == [[row, column, 0]]
    assert 0 < np.sum(points[:, 0] != range(32)) < 32


def test_image_and_mask_are_changed_alike(angles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for k in range(4):
        grey = np.kron(rng.integers(0, 2, (8, 8)), np.ones((8, 8))) * 255
        Image.fromarray(np.dstack([grey] * 3).astype("uint8")).save(f"{k}.png")
    Path("masks.csv").write_text("".join(f"{k}.png,{k}.png\n" for k in range(4)) * 10)
    names = after_angles(angles, "read_masks")
    exec("\n".join(blocks("after angles masks")), names)  # noqa: S102
    batches = [(names["images"], names["masks"]), next(names["generator"])]
    for images, masks in batches:
        assert set(np.unique(masks)) == {0, 1}
        # Only the edges, which are interpolated in the image, may differ.
        assert np.mean((images[..., :1] > 127) == masks) > 0.95
    assert np.mean(batches[0][1] == batches[1][1]) < 0.95
    assert np.mean((names["predicted"] > 0.5) == names["masks"]) > 0.9
    assert np.array(Image.open("masks.png")).std() > 10


def test_numbers_are_learned(in_folder):
    history = run(in_folder, find_block("load_iris"))["model"].history.history
    assert history["accuracy"][-1] > 0.9


# Order, steps and training


@pytest.mark.parametrize(("workers", "processes"), [(1, False), (2, False), (2, True)])
def test_several_workers_give_each_row_once(in_folder, workers, processes):
    options = {"workers": workers, "use_multiprocessing": processes}
    found = run(in_folder, find_block("class CsvDataset"), run_name="recipe")
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


def test_layers_augment_in_a_call_but_not_in_predict(in_folder):
    model = run(in_folder, find_block("RandomRotation"))["model"]
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    layers = keras.Sequential(model.layers[:-1])
    scaled = images / np.float32(255)
    assert np.abs(np.array(layers(images)) - scaled).max() > 0.1
    np.testing.assert_allclose(layers.predict(images, verbose=0), scaled, rtol=1e-6)


def test_weights_follow_the_labels(in_folder):
    found = run(in_folder, find_block("two_input_generator"))
    lb = found["lb"]
    inputs, one_hot, weights = next(found["two_input_generator"](TRAIN, 20, lb))
    is_iris = lb.classes_[one_hot["kind"].argmax(axis=1)] == "iris"
    assert weights["kind"].tolist() == np.where(is_iris, 2, 1).tolist()
    means = inputs["image"].mean(axis=(1, 2))
    np.testing.assert_array_equal(inputs["mean_colour"], means)
    found = run(in_folder, find_block("compute_class_weight"))
    _, one_hot, weights = next(found["weighted_generator"](TRAIN, 48, lb))
    totals = weights @ one_hot  # every class counts the same
    np.testing.assert_allclose(totals, totals[0], rtol=1e-6)


def test_one_picture_and_one_row_get_names_of_the_saved_model(in_folder, capsys):
    dense = keras.layers.Dense(3, "softmax", kernel_initializer="zeros")
    layers = [keras.Input((64, 64, 3)), keras.layers.Flatten(), dense]
    model = keras.Sequential(layers)
    model.layers[-1].bias.assign([0.0, 9.0, 0.0])
    save_model(model, ["tulips", "weeds", "zinnias"], in_folder / "other.keras")
    run(in_folder, find_block("my_flower.jpg").replace('"flowers.', '"other.'))
    output = capsys.readouterr().out
    assert output.count("weeds 1.00") == 2
    assert f"{TEST}, line 10 (" in output and "is labelled daisy" in output


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
# fit's own validation and the saved model agree: the moving averages are in step. Then
# it trains on numbered rows, and writes down which ones are used.
CHECK_DEVICES = """
assert strategy.num_replicas_in_sync == 2
model.save("devices.keras")
saved = keras.models.load_model("devices.keras")
loss, _ = saved.evaluate(build_validation_data(test_csv, bs, lb), steps=ceil(40 / bs))
assert abs(loss / model.history.history["val_loss"][0] - 1) < 1e-3, loss

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


def test_what_the_page_says_of_several_gpus(in_folder):
    (code,) = blocks("devices")
    process = start_python(in_folder, "-c", TWO_DEVICES + SETUP + code + CHECK_DEVICES)
    output, errors = process.communicate()
    assert "an odd batch fails" in output, errors


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


def test_each_of_several_machines_trains_on_its_share_of_the_rows(in_folder):
    (code,) = blocks("workers")
    for port in ("12345", "12346"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            code = code.replace(port, str(free.getsockname()[1]))
    (in_folder / "worker.py").write_text(code)
    processes = [start_python(in_folder, "-c", RECORD_ROWS, task) for task in (0, 1)]
    outputs = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    models = [keras.models.load_model(in_folder / f"worker{k}.keras") for k in (0, 1)]
    firsts = [int(image[0, 0, 0]) for *_, image in read_rows(in_folder / TRAIN)]
    for task, model in enumerate(models):
        share = firsts[task::2] * 2
        # Two epochs of one batch of 16.
        assert np.load(in_folder / f"rows{task}.npy").tolist() == share[:32]
        assert int(model.optimizer.iterations) == 2
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(one, other)


def test_your_own_images_in_the_usual_size_then_in_another(folder, tmp_path):
    shutil.copytree(folder / "flower_photos", tmp_path / "flower_photos")
    shutil.copytree(ROOT / "pyimagesearch", tmp_path / "pyimagesearch")
    shutil.copy(ROOT / "train.py", tmp_path)
    usual, other = [code for code in SHELL if "flower_photos" in code]
    (line,) = set(re.findall(r"`(IMAGE_SHAPE = \(32, .*\))`", RECIPES))
    path = tmp_path / "pyimagesearch" / "csv_rows.py"
    for commands, output, values in (
        (usual, "my_flowers", 64 * 64 * 3),
        (other, "grey", 1024),
    ):
        for command in commands.replace("-e 5", "-e 1").splitlines():
            printed = run_python(tmp_path, *command.split()[1:], project=tmp_path)
        assert "roses" in printed and "weighted avg" in printed
        with open(tmp_path / output / TEST) as csv_file:
            assert {row.count(",") for row in csv_file} == {values}
        path.write_text(path.read_text().replace("IMAGE_SHAPE = (64, 64, 3)", line))
