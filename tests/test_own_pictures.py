"""own_pictures.md: every picture is named after its folder, its row or its own pixels."""

import contextlib
import io
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, csv_bytes, run_python, save_image
from pages import KINDS, TEST, TRAIN, lines_of, run_code, run_page
from tensorflow import keras

from pyimagesearch.csv_rows import InputError
from pyimagesearch.images import load_image
from pyimagesearch.recipes import __main__ as recipes


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The variables of the page's program and what it printed, in its folder."""
    noise = np.random.default_rng(0).integers(0, 56, (108, 64, 64, 3))
    colours = 200 * np.indices((2, 2, 2)).reshape(3, 8).T[1:7]
    rows = [(KINDS[k % 6], colours[k % 6] + noise[k]) for k in range(108)]
    with pytest.MonkeyPatch.context() as context:
        context.chdir(tmp_path_factory.mktemp("own_pictures"))
        Path(TRAIN).write_bytes(csv_bytes(rows[:72]))
        Path(TEST).write_bytes(csv_bytes(rows[72:]))
        with contextlib.redirect_stdout(io.StringIO()) as output:
            found = run_page(Path(), "own_pictures", epochs=8)
        yield found | {"output": output.getvalue()}


def predict(path, pictures):
    images = np.array([load_image(picture) for picture in pictures], dtype="float32")
    return keras.models.load_model(path).predict(images, verbose=0)


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
    assert len(paths) == 12 * len(set(labels)) and names == sorted(set(labels))
    outputs = predict(f"{name}.keras", paths).argmax(axis=1)
    assert right([names[k] for k in outputs], labels) > 0.8


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
    # Silent: hidden folders count; without shuffling, the last class alone is tested.
    for name in "a/1.png", "a/.old/1.png", "b/2.png", "b/3.png":
        save_image(tmp_path / name)
    read = partial(keras.utils.image_dataset_from_directory, tmp_path, shuffle=False)
    assert len(read().file_paths) == 4
    _, last = read(validation_split=0.5, subset="both")
    assert {Path(path).parent.name for path in last.file_paths} == {"b"}


def test_the_submission_has_each_id_with_the_label_of_its_picture(page):
    header, *lines = [line.split(",") for line in lines_of("contest/submission.csv")]
    ids, labels = zip(*lines, strict=True)
    assert header == ["id", "label"] and [*ids] == sorted({*ids}) and len(ids) == 30
    assert right(labels, [KINDS[int(k) % 6] for k in ids]) > 0.8
    # A new order in each pass, and each picture once; a broken one is named.
    readers = [page["read_files"], page["read_shuffled"], page["read_shuffled"]]
    passes = [tuple(bytes(i) for *_, i in r("contest/train.csv")) for r in readers]
    assert len(set(passes)) == 3 and len(set(map(frozenset, passes))) == 1
    Path("bad.csv").write_text("id,label\nno,rose\n")
    with pytest.raises(InputError, match=r"bad.csv, line 2 .'no,rose'.: .*no.jpg: No"):
        list(page["read_files"]("bad.csv"))


def test_a_folder_is_named_picture_by_picture(page, capsys):
    save_image(Path("new_photos/.old/x.jpg"))
    shutil.copy(TEST, save_image(Path("new_photos/trip/x.jpg")).parent)
    run_code(Path(), *recipes.code_blocks("own_pictures", "later"))
    header, *lines = [line.split(",") for line in lines_of("predictions.csv")]
    files, labels, *columns = zip(*lines, strict=True)
    rows, names = predict("photos.keras", files), page["class_names"]
    assert header == ["file", "label", *names] and len(files) == 31
    assert [names[k] for k in rows.argmax(axis=1)] == [*labels]
    np.testing.assert_allclose(np.array(columns, float).T, rows, atol=0.006)
    assert f"{files[0]} {labels[0]} " in capsys.readouterr().out


def test_a_transferred_network_gets_scaled_pictures_and_stays(page):
    freeze, fine_tune = recipes.code_blocks("own_pictures", "fragment")
    exec(freeze.replace('"imagenet"', "None, alpha=0.35"), found := dict(page))  # noqa: S102
    base, model, x = found["base"], found["model"], page["train_x"][:4]
    assert len(model.trainable_weights) == 2  # the last layer's
    features = keras.Model(model.input, model.layers[-2].input)  # what base returns
    wanted = base(x / 127.5 - 1)
    np.testing.assert_allclose(features(x, training=False), wanted, rtol=1e-3)
    # Fine-tuning changes weights, but no average of batch normalization.
    exec(fine_tune, found)  # noqa: S102
    averages = [weight.numpy() for weight in base.non_trainable_weights]
    model(x, training=True)
    assert all(map(np.array_equal, averages, base.non_trainable_weights))
    assert len(base.trainable_weights) > 50 and len(averages) > 100
    inputs, layer = keras.Input((1,)), keras.layers.BatchNormalization()
    keras.Model(inputs, layer(inputs, training=False))(np.ones((4, 1)), training=True)
    assert layer.moving_mean.numpy() > 0  # as the page says


def test_the_builder_makes_another_size_for_train_py(page, tmp_path):
    text = recipes.read_page("own_pictures")
    copy = shutil.copytree(ROOT / "pyimagesearch", tmp_path / "pyimagesearch")
    code = (copy / "csv_rows.py").read_text()
    (line,) = re.findall(r"`(IMAGE_SHAPE = \(32, .*\))`", text)
    (copy / "csv_rows.py").write_text(re.sub("(?m)^IMAGE_SHAPE = .*", line, code))
    ((build, train),) = re.findall("(?m)```sh\npython (-m .*)\npython (.*)\n```", text)
    run_python(Path(), *build.split(), project=tmp_path)
    rows = [row for file in re.findall(r"-[tv] (\S+)", train) for row in lines_of(file)]
    assert {row.count(",") for row in rows} == {1024} and len(rows) == 60
