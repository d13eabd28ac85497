"""The drawn flowers: reproducible, all different, and the ones in the repository."""

from collections import Counter, defaultdict
from itertools import chain

import numpy as np
import pytest
from conftest import ROOT
from sklearn.model_selection import train_test_split

from pyimagesearch.csv_rows import check_csvs, read_rows
from pyimagesearch.datasets import draw_flowers
from pyimagesearch.datasets.species import SPECIES

TRAIN, TEST = ROOT / "flowers17_training.csv", ROOT / "flowers17_testing.csv"


@pytest.fixture(scope="module")
def shipped():
    """The rows in the repository: a list of images for each label."""
    images = defaultdict(list)
    for _, label, image in chain(read_rows(TRAIN), read_rows(TEST)):
        images[label].append(image)
    return images


@pytest.mark.parametrize("species", SPECIES, ids=lambda s: s.name)
@pytest.mark.parametrize("number", [0, 79])
def test_a_picture_drawn_again_is_the_one_in_the_repository(shipped, species, number):
    image = draw_flowers.draw_one(42, species, number)
    assert image.shape == (64, 64, 3) and image.dtype == "uint8"
    others = shipped[species.name]
    # Sines differ in their last bit between processors: a value may be off by one.
    assert min(np.abs(image - other.astype(int)).max() for other in others) <= 1


def test_each_species_has_80_pictures_and_about_60_in_training(shipped, capsys):
    rows = {image.tobytes() for images in shipped.values() for image in images}
    assert len(rows) == 1360  # none occurs twice
    train_labels, test_labels = check_csvs(TRAIN, TEST)
    assert (len(train_labels), len(test_labels)) == (1020, 340)
    assert Counter(train_labels + test_labels) == {s.name: 80 for s in SPECIES}
    assert all(50 <= count <= 70 for count in Counter(train_labels).values())
    assert capsys.readouterr().err == ""


def test_it_writes_both_files_and_a_sheet(call_main, fail, monkeypatch, tmp_path):
    assert "sheet.txt" in fail(draw_flowers, "--sheet", "sheet.txt")
    monkeypatch.setattr(draw_flowers, "SPECIES", SPECIES[:3])
    monkeypatch.setattr(draw_flowers, "PICTURES_PER_SPECIES", 4)
    monkeypatch.setattr(draw_flowers, "SHEET_ROWS", 4)
    for options in ("--output one --sheet sheet.png --seed 3", "--output two --seed 3"):
        call_main(draw_flowers, *options.split())
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    keys = [(3, kind, k) for kind in SPECIES[:3] for k in range(4)]
    for csv, part in zip((TRAIN, TEST), train_test_split(keys, random_state=3)):
        path = tmp_path / "one" / csv.name
        assert path.read_bytes() == (tmp_path / "two" / csv.name).read_bytes()
        for key, (_, label, image) in zip(part, read_rows(path), strict=True):
            assert label == key[1].name and (image == draw_flowers.draw_one(*key)).all()
