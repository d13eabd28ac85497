"""The page other_targets.md: each section runs after the top alone, and learns."""

import functools
import re
import symtable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import csv_bytes
from pages import lines_of, run_code
from PIL import Image
from tensorflow import keras

from pyimagesearch.csv_rows import InputError
from pyimagesearch.recipes.__main__ import FOLDER, code_blocks

PAGE = (FOLDER / "other_targets.md").read_text(encoding="utf-8")
SECTIONS = {
    section.splitlines()[0]: "".join(
        re.findall(r"(?ms)^```python\n(.*?)^```$", section)
    )
    for section in re.split(r"(?m)^## ", PAGE)[1:-1]  # the last needs nothing
}
TOP = SECTIONS.pop("The top of every program")
NUMBERS = ["A number", "Numbers in the thousands", "A point"]


@pytest.fixture(scope="module")
def enter(tmp_path_factory):
    """A function that enters a section's folder, where it ran after the top alone."""
    with pytest.MonkeyPatch.context() as context:

        @functools.cache
        def run(heading):
            context.chdir(folder := tmp_path_factory.mktemp("section"))
            epochs = 3 if heading in NUMBERS else 6
            return folder, run_code(folder, TOP + SECTIONS[heading], epochs)

        yield lambda heading: (context.chdir(run(heading)[0]), run(heading)[1])[1]


def assert_refused(read_rows, row, reason):
    Path("block.csv").write_bytes(csv_bytes([row]))
    with pytest.raises(InputError, match=f"csv, line 1 .*{reason}"):
        list(read_rows("block.csv"))


def test_no_section_needs_changes_or_overwrites_what_another_has_made(enter):
    def names(code):
        symbols = symtable.symtable(code, "page", "exec").get_symbols()
        return {symbol.get_name() for symbol in symbols if symbol.is_assigned()}

    files = []
    for heading, code in SECTIONS.items():
        enter(heading)
        assert not names(code) & names(TOP)
        files += [path for path in Path().rglob("*.*") if path.stem[:5] != "block"]
    assert len(files) == len(set(files)) > 200


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x, x), lambda x: {"a": x}])
@pytest.mark.parametrize(("mode", "sizes"), [("train", "2222"), ("eval", "2212")])
def test_the_generator_gives_each_row(enter, wrap, mode, sizes):
    def read(path):
        return (("", wrap([k + 0.5] * 3), wrap(np.full((2, 2), k))) for k in range(5))

    make = enter("A number")["csv_target_generator"]
    make = functools.partial(make, "x", mode=mode, read_rows=read)
    rows = iter([*range(5)] * 2)
    for size, batch in zip(map(int, sizes), make(2)):
        numbers = np.array([*islice(rows, size)], "float32")
        for arrays, wanted in zip(batch, (numbers, numbers + 0.5)):
            assert type(arrays) is type(wrap(wanted))
            for array in keras.tree.flatten(arrays):
                assert array.dtype == "float32" and (array.T == wanted).all()
    for options in ({"bs": 0}, {"bs": 2, "read_rows": lambda path: []}):
        with pytest.raises(ValueError, match="bs is 0|x: no rows"):
            next(make(**options))


def test_numbers_are_learned_but_not_at_the_rate_of_build_model(enter):
    for heading in NUMBERS:
        found = enter(heading)
        truth, predicted = found["truth"].ravel(), found["predicted"].ravel()
        assert np.corrcoef(truth, predicted)[0, 1] > 0.8
    found = enter("A number")
    wanted = f"{found['truth'][0]:.1f},{found['predicted'][0]:.1f}"
    assert lines_of("angles_predicted.csv")[:2] == ["angle,predicted", wanted]
    assert_refused(found["read_numbers"], ("old", np.zeros(576, int)), "'old'")
    images = np.random.default_rng(0).integers(0, 256, (40, *found["SHAPE"]))
    for rate, most in ((0.01, 1), (0.001, 20_000)):
        body = found["build_body"](found["SHAPE"])
        model = keras.Sequential([*body, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
        targets = np.linspace(most / 9, most, 40)
        assert np.isnan(model.fit(images, targets, 4, 4, 0).history["loss"][-1])


def test_an_angle_and_a_point_move_with_their_mirrored_picture(enter):
    pictures, points = np.zeros((24, 24, 24, 1)), np.array([(k, 5) for k in range(24)])
    pictures[range(24), 5, range(24)] = 255
    flow = enter("A number")["MirrorAngles"]().flow(pictures + 0, np.ones(24), 24)
    images, signs = next(flow)
    wanted = np.where(signs[:, None, None, None] < 0, pictures[:, :, ::-1], pictures)
    assert {*signs} == {-1, 1} and (images == wanted).all()
    flow = enter("A point")["MirrorPoints"]().flow(pictures + 0, points + 0, 24)
    images, moved = next(flow)
    assert (np.argwhere(images)[:, [2, 1]] == moved).all()
    assert 0 < np.sum(moved != points) < 24


def test_several_labels_are_learned(enter):
    found = enter("Several labels per picture")
    assert (found["predicted"] == found["truth"]).mean() > 0.9
    for line, row in zip(lines_of("several_testing.csv"), found["truth"], strict=True):
        names = [name for name, is_shown in zip(found["NAMES"], row) if is_shown]
        assert line.partition(",")[0].split() == names
    assert_refused(found["read_several"], ("down sqare", np.zeros(576, int)), "sqare")


def test_two_labels_are_learned_saved_loaded_and_named(enter):
    found = enter("Two labels per picture")
    later = run_code(Path.cwd(), *code_blocks("other_targets", "later"))
    rows = np.array([line.split(",")[:2] for line in lines_of("things_testing.csv")])
    header, *named = [line.split(",") for line in lines_of("things_named.csv")]
    assert header == ["kind", "colour"] and (named == rows[:10]).mean() > 0.9
    for column, (output, names) in enumerate(found["OUTPUTS"].items()):
        truth, predicted = found["truth"][output], found["predicted"][output]
        assert (np.array(names)[truth.argmax(axis=1)] == rows[:, column]).all()
        assert (truth.argmax(axis=1) == predicted.argmax(axis=1)).mean() > 0.9
        loaded = later["probabilities"][output]
        np.testing.assert_allclose(loaded, predicted[:10], atol=1e-5)
        assert f"val_{output}_accuracy" in found["model"].history.history
    for labels, reason in zip(("cap,red", "cup,pink"), ("'cap' is no k", "'pink'")):
        assert_refused(found["read_things"], (labels, np.zeros(1728, int)), reason)


def test_pairs_are_half_the_same_and_learned(enter):
    found = enter("Pairs of pictures")
    same = [line[0] == "1" for line in lines_of("pairs_training.csv")]
    assert 0.4 < np.mean(same) < 0.6
    assert np.mean(found["predicted"] == found["truth"]) > 0.9
    Path("block.csv").write_bytes(csv_bytes([("1", np.repeat([0, 9], 576))]))
    ((_, same, (left, right)),) = found["read_pairs"]("block.csv")
    assert (same, left.shape, left.max(), right.min()) == (1, found["SHAPE"], 0, 9)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_masks_are_found_in_pictures_that_were_not_trained_on(enter):
    found = enter("An image and a mask")
    testing = lines_of("masks_testing.csv")
    assert sorted(lines_of("masks_training.csv") + testing) == lines_of("masks.csv")
    truth, predicted = found["truth"] > 0.5, found["predicted"] > 0.5
    paths = [pair.partition(",")[2] for pair in testing]
    assert (truth == [found["load_mask"](path) for path in paths]).all()
    assert iou(truth, predicted) > 0.8 and 0.08 < truth.mean() < 0.1
    history = found["model"].history.history["val_iou"]
    assert history[-1] == pytest.approx(iou(truth, predicted), abs=1e-4)
    saved, own = (np.array(Image.open(p)) for p in ("leaf_predicted.png", paths[0]))
    assert saved.shape == own.shape == (72, 96) and {*saved.flat} == {0, 255}
    assert iou(saved, own) > 0.8 and np.array(Image.open("masks.png")).std() > 10
    exec(*code_blocks("other_targets", "fragment"), found)  # noqa: S102
    images, masks, weights = next(found["weighted"]([(truth * 1.0, truth * 1.0)]))
    assert (weights == np.where(masks[..., 0], 10, 1)).all()
    found["model"].train_on_batch(np.tile(images, 3), masks, weights)


def test_image_and_mask_are_changed_alike_and_bad_masks_refused(enter):
    found = enter("An image and a mask")
    flow, masks = found["aug"].flow, found["truth"]
    batches = [next(flow(masks * 255, masks, batch_size=25)) for _ in range(2)]
    for images, moved in batches:  # only the edges are interpolated in the image
        assert {*moved.flat} == {0, 1} and iou(images > 127, moved > 0.5) > 0.9
    assert iou(batches[0][1] > 0.5, batches[1][1] > 0.5) < 0.5
    mask = Image.fromarray(np.eye(9, dtype="uint8"))
    mask.save("block_1.png")  # of 0 and 1
    mask.putpalette([0, 0, 0, 192, 128, 128])
    mask.save("block_2.png")
    for k, reason in enumerate(("No such file", "not 0 and 255", "not 0 and 255")):
        row = "leaves/leaf_000.jpg", np.array(f"block_{k}.png")
        assert_refused(found["read_masks"], row, reason)


def test_numbers_instead_of_images_are_learned(tmp_path, capsys):
    run_code(tmp_path, *code_blocks("other_targets", "alone"))
    assert re.search(r"setosa .*\nvirginica .*\n$", capsys.readouterr().out)
