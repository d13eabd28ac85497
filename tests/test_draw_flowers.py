"""The drawn flowers: reproducible, all different, and the ones in the repository."""

import sys
from collections import Counter

import numpy as np
import pytest
from conftest import ROOT

from pyimagesearch import draw_flowers
from pyimagesearch.check_csv import check_csvs, read_labels
from pyimagesearch.csv_rows import parse_row
from pyimagesearch.species import SPECIES

every_species = pytest.mark.parametrize("species", SPECIES, ids=lambda s: s.name)
TRAIN, TEST = ROOT / "flowers17_training.csv", ROOT / "flowers17_testing.csv"


@pytest.fixture(scope="module")
def shipped():
    """The rows in the repository: a list of images for each label."""
    images = {}
    for path in (TRAIN, TEST):
        with open(path, "rb") as csv_file:
            for line in csv_file:
                label, image = parse_row(line, path.name)
                images.setdefault(label, []).append(image)
    return images


@every_species
@pytest.mark.parametrize("number", [0, 79])
def test_a_picture_drawn_again_is_the_one_in_the_repository(shipped, species, number):
    image = draw_flowers.draw_one(42, species, number).astype(int)
    others = shipped[species.name]
    # Sines differ in their last bit between processors: a value may be off by one.
    assert min(np.abs(image - other).max() for other in others) <= 1


def test_no_picture_occurs_twice(shipped):
    rows = {image.tobytes() for images in shipped.values() for image in images}
    assert len(rows) == 1360


def test_each_species_has_80_rows_and_about_60_of_them_in_training(shipped):
    assert {label: len(images) for label, images in shipped.items()} == {
        species.name: 80 for species in SPECIES
    }
    assert all(50 <= count <= 70 for count in Counter(read_labels(TRAIN)).values())


def test_the_files_in_the_repository_pass_the_check_without_a_warning(capsys):
    train_labels, test_labels = check_csvs(TRAIN, TEST)
    assert (len(train_labels), len(test_labels)) == (1020, 340)
    assert capsys.readouterr().err == ""


@every_species
def test_pictures_differ_with_number_and_seed(species):
    first = draw_flowers.draw_one(1, species, 0)
    assert first.shape == (64, 64, 3) and first.dtype == "uint8"
    assert first.std() > 5
    assert (draw_flowers.draw_one(1, species, 0) == first).all()
    assert (draw_flowers.draw_one(1, species, 1) != first).mean() > 0.5
    assert (draw_flowers.draw_one(2, species, 0) != first).mean() > 0.5


def test_the_command_writes_both_files_and_the_sheet(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(draw_flowers, "PICTURES_PER_SPECIES", 4)
    monkeypatch.setattr(draw_flowers, "SHEET_ROWS", 4)
    monkeypatch.chdir(tmp_path)
    for options in ("--output one --sheet sheet.png --seed 3", "--output two --seed 3"):
        monkeypatch.setattr(sys, "argv", ["draw_flowers", *options.split()])
        draw_flowers.main()
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "68/68" in capsys.readouterr().out
    for name, rows in ((TRAIN.name, 51), (TEST.name, 17)):
        text = (tmp_path / "one" / name).read_bytes()
        assert text == (tmp_path / "two" / name).read_bytes()
        assert text.count(b"\n") == rows


def test_a_sheet_that_matplotlib_cannot_save(fail):
    assert "sheet.txt" in fail(draw_flowers, "--sheet", "sheet.txt")
