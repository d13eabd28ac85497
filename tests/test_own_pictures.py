"""own_pictures.md: every picture is named after its folder, its row or its own pixels."""

import contextlib
import io
import re
import runpy
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, csv_bytes, run_python, save_image
from pages import KINDS, TEST, TRAIN, lines_of, run_code, run_page
from PIL import Image
from tensorflow import keras

from pyimagesearch.csv_rows import InputError
from pyimagesearch.images import load_image
from pyimagesearch.recipes import __main__ as recipes


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The variables of the page's program and what it printed, in its folder."""
    folder, rng = tmp_path_factory.mktemp("own_pictures"), np.random.default_rng(0)
    colours = [np.array([k & 1, k & 2, k & 4]) > 0 for k in range(1, 7)]
    noise = rng.integers(0, 56, (144, 64, 64, 3))
    rows = [(KINDS[k % 6], colours[k % 6] * 200 + noise[k]) for k in range(144)]
    (folder / TRAIN).write_bytes(csv_bytes(rows[:96]))
    (folder / TEST).write_bytes(csv_bytes(rows[96:]))
    with pytest.MonkeyPatch.context() as context:
        context.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            found = run_page(folder, "own_pictures", epochs=8)
        yield found | {"output": output.getvalue()}


def name_pictures(model, names, paths):
    images = np.array([load_image(path) for path in paths], dtype="float32")
    rows = model.predict(images, verbose=0)
    return [names[k] for k in rows.argmax(axis=1)], rows.max(axis=1)


def right(given, wanted):
    return np.mean([one == other for one, other in zip(given, wanted, strict=True)])


def test_the_class_is_the_first_folder_and_litter_is_left_out(page, tmp_path):
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    names = ["a/4/x/1.png", "b/4.PNG", "a/.o/1.png", ".g/b/2.png", "3.png", "b/._4.png"]
    paths = [save_image(tmp_path / name) for name in names]
    assert page["find_pictures"](tmp_path) == (paths[:2], ["a", "b"])


@pytest.mark.parametrize("name", ["photos", "large", "fruit"])
def test_the_saved_names_are_in_the_order_of_the_outputs(page, name):
    names = lines_of(f"{name}.classes.txt")
    paths, labels = page["find_pictures"](name.replace("large", "photos"))
    assert len(paths) == 16 * len(set(labels)) and names == sorted(set(labels))
    model = keras.models.load_model(f"{name}.keras")
    assert right(name_pictures(model, names, paths)[0], labels) > 0.8


def test_of_two_classes_each_probability_is_that_of_the_class_it_names(page):
    printed = re.findall(r"ripe with probability (.*), in fact (\w+)", page["output"])
    says_ripe, ripe = zip(*((float(p) > 0.5, name == "ripe") for p, name in printed))
    assert right(says_ripe, ripe) == 1 and 0 < sum(ripe) < 8
    names = np.array(["ripe", "unripe"])[page["test_y"].argmax(axis=1)]
    assert right(page["one_output_names"], names) == 1  # with one output
    assert right(page["unripe"] > 0.5, names == "unripe") == 1


def test_a_data_set_larger_than_memory_lines_up_with_its_paths(page, tmp_path):
    printed = re.findall(r"new_photos/(\d+).jpg (\w+) [01]\.", page["output"])
    assert right([KINDS[int(k) % 6] for k, _ in printed], [n for _, n in printed]) > 0.8
    targets = np.concatenate([y for _, y in page["validation"]]).argmax(axis=1)
    folders = [Path(path).parts[1] for path in page["validation"].file_paths]
    assert [page["class_names"][k] for k in targets] == folders
    # Silent: hidden folders count; sideways pictures stay so; the last class alone.
    for name in "a/1.png", "a/.old/1.png", "b/2.png":
        path = save_image(tmp_path / name, size=(64, 64))
    (sideways := Image.Exif())[0x0112] = 6
    Image.open(path).save(tmp_path / "b" / "3.png", exif=sideways)
    read = partial(keras.utils.image_dataset_from_directory, tmp_path, shuffle=False)
    ((pictures, _),) = read(image_size=(64, 64))
    assert len(pictures) == 4 and (pictures[3] == load_image(path)).numpy().all()
    assert (load_image(path) != load_image(tmp_path / "b" / "3.png")).any()
    _, last = read(validation_split=0.5, subset="both")
    assert {Path(path).parent.name for path in last.file_paths} == {"b"}


def test_the_submission_has_each_id_with_the_label_of_its_picture(page):
    header, *lines = [line.split(",") for line in lines_of("contest/submission.csv")]
    ids, labels = zip(*lines)
    assert (
        header == ["id", "label"] and list(ids) == sorted(set(ids)) and len(ids) == 40
    )
    assert right(labels, [KINDS[int(k) % 6] for k in ids]) > 0.8
    assert sorted(sum(page["parts"], [])) == sorted(page["lines"])  # noqa: RUF017
    # A new order in each pass, and each picture once; a broken one is named.
    readers = [page["read_files"], page["read_shuffled"], page["read_shuffled"]]
    passes = [tuple(bytes(i) for *_, i in r("contest/train.csv")) for r in readers]
    assert len(set(passes)) == 3 and len(set(map(frozenset, passes))) == 1
    Path("contest/train/half.jpg").write_bytes(Path("photos.png").read_bytes()[:500])
    Path("half.csv").write_text("id,label\nhalf,rose\n")
    with pytest.raises(InputError, match=r"half.csv, line 2 .'half,rose'.: .*half.jpg"):
        list(page["read_files"]("half.csv"))


def test_a_folder_is_named_as_each_picture_alone(page, capsys):
    save_image(Path("new_photos/.old/x.jpg"))
    shutil.copy(TEST, save_image(Path("new_photos/trip/x.jpg")).parent)
    run_code(Path(), *recipes.code_blocks("own_pictures", "later"))
    header, *lines = lines_of("predictions.csv")
    names = page["class_names"]
    assert header == ",".join(["file", "label", *names]) and len(lines) == 41
    model = keras.models.load_model("photos.keras")
    for file, label, *row in [line.split(",") for line in lines[::5]]:
        (name,), (p,) = name_pictures(model, names, [file])
        assert name == label
        assert float(row[names.index(label)]) == pytest.approx(p, abs=0.006)
    file, label = lines[0].split(",")[:2]
    assert f"{file} {label} " in capsys.readouterr().out
    Path("photos.classes.txt").write_text("one\ntwo")
    with pytest.raises(SystemExit, match="another model's"):
        run_code(Path(), *recipes.code_blocks("own_pictures", "later"))


def test_a_transferred_network_gets_scaled_pictures_and_stays(page, monkeypatch):
    network = partial(keras.applications.MobileNetV2, alpha=0.35)
    untrained = lambda weights, **options: network(weights=None, **options)
    monkeypatch.setattr(keras.applications, "MobileNetV2", untrained)
    for k, code in enumerate(recipes.code_blocks("own_pictures", "fragment")):
        Path(f"fragment_{k}.py").write_text(code)
    found = runpy.run_path("fragment_0.py", page)
    base, model, x = found["base"], found["model"], page["train_x"][:4]
    assert len(model.trainable_weights) == 2  # the last layer's
    scaled = keras.applications.mobilenet_v2.preprocess_input(x.copy())
    features = keras.Model(model.input, model.layers[-2].input)  # what base returns
    found_features = features(x, training=False)
    np.testing.assert_allclose(found_features, base(scaled), rtol=1e-3)
    # Fine-tuning changes weights, but no average of batch normalization.
    runpy.run_path("fragment_1.py", found)
    averages = [weight.numpy() for weight in base.non_trainable_weights]
    model(x, training=True)
    assert all(map(np.array_equal, averages, base.non_trainable_weights))
    assert len(base.trainable_weights) > 50 and len(averages) > 100
    inputs, layer = keras.Input((1,)), keras.layers.BatchNormalization()
    keras.Model(inputs, layer(inputs, training=False))(np.ones((4, 1)), training=True)
    assert layer.moving_mean.numpy() > 0  # as the page says
    grey = load_image(save_image(Path("grey.png"), mode="L"), (64, 64, 1))
    assert np.array_equal(grey.repeat(3, axis=-1), load_image("grey.png"))


def test_the_shells_two_commands_run_in_another_size(page, tmp_path):
    text = recipes.read_page("own_pictures")
    for name in "photos", ROOT / "pyimagesearch":
        shutil.copytree(name, tmp_path / Path(name).name)
    path = tmp_path / "pyimagesearch" / "csv_rows.py"
    ((line, start),) = re.findall(r"`((IMAGE_SHAPE = )\(32, .*\))`", text)
    path.write_text(re.sub(f"(?m)^{start}.*", line, path.read_text()))
    ((build, train),) = re.findall("(?m)```sh\npython -m (.*)\npython (.*)\n```", text)
    code = f"""import runpy, sys
sys.argv = {build.split()}
runpy.run_module(sys.argv[0], run_name="__main__")
sys.argv = {train.replace("-e 5", "-e 1").split()}
runpy.run_path(r"{ROOT / "train.py"}", run_name="__main__")"""
    assert "weighted avg" in run_python(tmp_path, "-c", code, project=tmp_path)
    rows = lines_of(tmp_path / "my_flowers" / TRAIN)
    assert {row.count(",") for row in rows} == {1024} and len(rows) == 60
