"""The page other_targets.md: each section runs after the top alone, and learns."""

import re
import symtable
from pathlib import Path

import numpy as np
import pytest
from conftest import csv_bytes
from pages import lines_of, run_code
from PIL import Image
from tensorflow import keras

from pyimagesearch.csv_rows import InputError
from pyimagesearch.recipes.__main__ import code_blocks, read_page

SECTIONS = {}
for section in read_page("other_targets").split("\n## ")[1:-1]:  # the last stands alone
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", section)
    SECTIONS[section.splitlines()[0]] = "".join(blocks)
TOP = SECTIONS.pop("The top of every program")
NUMBERS = ["A number", "Numbers in the thousands", "A point"]


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """The variables of each section, which ran after the top, and before those above."""
    with pytest.MonkeyPatch.context() as context:
        context.chdir(tmp_path_factory.mktemp("sections"))
        yield {
            heading: run_code(Path(), TOP + code, 3 if heading in NUMBERS else 6)
            for heading, code in reversed(SECTIONS.items())
        }


def assert_refused(read_rows, row, reason):
    Path("block.csv").write_bytes(csv_bytes([row]))
    with pytest.raises(InputError, match=f"csv, line 1 .*{reason}"):
        list(read_rows("block.csv"))


def test_no_section_changes_a_name_of_the_top():
    def names(code):
        symbols = symtable.symtable(code, "page", "exec").get_symbols()
        return {symbol.get_name() for symbol in symbols if symbol.is_assigned()}

    assert not set.union(*map(names, SECTIONS.values())) & names(TOP)


def test_the_generator_gives_each_row_and_keeps_its_structure(sections):
    make = sections["A number"]["csv_target_generator"]
    read = lambda path: (("", {"a": (k, [k, k + 0.5])}, k) for k in range(5))
    for mode, batches in (("train", "01 23 40 12"), ("eval", "01 23 4 01")):
        generator = make("x", 2, mode, read_rows=read)
        for rows, batch in zip(batches.split(), generator):
            k = np.array([*rows], "float32")
            wanted = k, {"a": (k, np.stack([k, k + 0.5], axis=1))}
            np.testing.assert_equal(batch, wanted)
            assert {a.dtype.name for a in keras.tree.flatten(batch)} == {"float32"}
    for bs, reader in ((0, read), (2, lambda path: [])):
        with pytest.raises(ValueError, match="bs is 0|x: no rows"):
            next(make("x", bs, read_rows=reader))


def test_numbers_are_learned(sections):
    for heading in NUMBERS:
        pair = [sections[heading][name].ravel() for name in ("truth", "predicted")]
        assert np.corrcoef(pair)[0, 1] > 0.8
    found = sections["A number"]
    wanted = f"{found['truth'][0]:.1f},{found['predicted'][0]:.1f}"
    assert lines_of("angles_predicted.csv")[:2] == ["angle,predicted", wanted]


def test_an_angle_and_a_point_move_with_their_mirrored_picture(sections):
    pictures, points = np.zeros((24, 24, 24, 1)), np.array([(k, 5) for k in range(24)])
    pictures[range(24), 5, range(24)] = 255
    flow = sections["A number"]["MirrorAngles"]().flow(pictures + 0, np.ones(24), 24)
    images, signs = next(flow)
    wanted = np.where(signs[:, None, None, None] < 0, pictures[:, :, ::-1], pictures)
    assert {*signs} == {-1, 1} and (images == wanted).all()
    flow = sections["A point"]["MirrorPoints"]().flow(pictures + 0, points + 0, 24)
    images, moved = next(flow)
    assert (np.argwhere(images)[:, [2, 1]] == moved).all()
    assert 0 < np.sum(moved != points) < 24


def test_several_labels_are_learned(sections):
    found = sections["Several labels per picture"]
    assert (found["predicted"] == found["truth"]).mean() > 0.9
    for line, row in zip(lines_of("several_testing.csv"), found["truth"], strict=True):
        assert line.partition(",")[0].split() == [*np.array(found["NAMES"])[row == 1]]
    assert_refused(found["read_several"], ("down sqare", np.zeros(576, int)), "sqare")


def test_two_labels_are_learned_saved_loaded_and_named(sections):
    found = sections["Two labels per picture"]
    run_code(Path.cwd(), *code_blocks("other_targets", "later"))
    rows = np.array([line.split(",")[:2] for line in lines_of("things_testing.csv")])
    header, *named = [line.split(",") for line in lines_of("things_named.csv")]
    assert header == ["kind", "colour"] and (named == rows[:10]).mean() > 0.9
    for column, (output, names) in enumerate(found["OUTPUTS"].items()):
        truth, predicted = found["truth"][output], found["predicted"][output]
        assert (np.array(names)[truth.argmax(axis=1)] == rows[:, column]).all()
        assert (truth.argmax(axis=1) == predicted.argmax(axis=1)).mean() > 0.9
        assert f"val_{output}_accuracy" in found["model"].history.history
    assert_refused(found["read_things"], ("cup,pink", np.zeros(1728, int)), "'pink'")


def test_pairs_are_half_the_same_and_learned(sections):
    found = sections["Pairs of pictures"]
    assert 0.4 < np.mean(found["truth"]) < 0.6
    assert np.mean(found["predicted"] == found["truth"]) > 0.9
    Path("block.csv").write_bytes(csv_bytes([("1", np.repeat([0, 9], 576))]))
    ((_, same, (left, right)),) = found["read_pairs"]("block.csv")
    assert (same, left.shape, left.max(), right.min()) == (1, found["SHAPE"], 0, 9)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_masks_are_found_in_pictures_that_were_not_trained_on(sections):
    found = sections["An image and a mask"]
    testing = lines_of("masks_testing.csv")
    assert sorted(lines_of("masks_training.csv") + testing) == lines_of("masks.csv")
    truth, predicted = found["truth"] > 0.5, found["predicted"] > 0.5
    paths = [pair.partition(",")[2] for pair in testing]
    assert (truth == [found["load_mask"](path) for path in paths]).all()
    val_iou = found["model"].history.history["val_iou"][-1]
    assert pytest.approx(val_iou, abs=1e-4) == iou(truth, predicted) > 0.8
    saved, own = (np.array(Image.open(p)) for p in ("leaf_predicted.png", paths[0]))
    assert saved.shape == own.shape == (72, 96) and {*saved.flat} == {0, 255}
    assert iou(saved, own) > 0.8 and np.array(Image.open("masks.png")).std() > 10
    exec(*code_blocks("other_targets", "fragment"), found)  # noqa: S102
    images, masks, weights = next(found["weighted"]([(truth * 1.0, truth * 1.0)]))
    assert (weights == np.where(masks[..., 0], 10, 1)).all()
    found["model"].train_on_batch(np.tile(images, 3), masks, weights)


def test_image_and_mask_are_changed_alike_and_bad_masks_refused(sections):
    found = sections["An image and a mask"]
    flow, masks = found["aug"].flow, found["truth"]
    batches = [next(flow(masks * 255, masks, batch_size=25)) for _ in range(2)]
    for images, moved in batches:  # only the edges are interpolated in the image
        assert {*moved.flat} == {0, 1} and iou(images > 127, moved > 0.5) > 0.9
    assert iou(batches[0][1] > 0.5, batches[1][1] > 0.5) < 0.5
    Image.fromarray(np.eye(9, dtype="uint8")).save("block_1.png")  # of 0 and 1
    for k, reason in enumerate(("No such file", "not 0 and 255")):
        row = "leaves/leaf_000.jpg", np.array(f"block_{k}.png")
        assert_refused(found["read_masks"], row, reason)


def test_numbers_instead_of_images_are_learned(tmp_path, capsys):
    run_code(tmp_path, *code_blocks("other_targets", "alone"))
    assert re.search(r"setosa .*\nvirginica .*\n$", capsys.readouterr().out)
