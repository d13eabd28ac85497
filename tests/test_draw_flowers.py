"""The drawn flowers: reproducible, all different, and the ones in the repository."""

import numpy as np
from conftest import ROOT
from sklearn.model_selection import train_test_split

from pyimagesearch.csv_rows import read_rows
from pyimagesearch.datasets import draw_flowers
from pyimagesearch.datasets.species import SPECIES

NAMES = ["flowers17_training.csv", "flowers17_testing.csv"]


def rows_with_keys(folder, seed, kinds, number):
    """Yield what each row must show, the arguments of draw_one, its label and image."""
    keys = [(seed, kind, k) for kind in kinds for k in range(number)]
    for name, part in zip(NAMES, train_test_split(keys, random_state=seed)):
        for key, (_, label, image) in zip(part, read_rows(folder / name), strict=True):
            yield key, label, image


def test_the_rows_in_the_repository_are_80_different_pictures_of_each_species():
    pictures = set()
    for (seed, kind, k), label, image in rows_with_keys(ROOT, 42, SPECIES, 80):
        assert label == kind.name
        pictures.add(image.tobytes())
        if k in (0, 79):
            drawn = draw_flowers.draw_one(seed, kind, k).astype(int)
            # Sines differ in their last bit between processors.
            assert np.abs(image - drawn).max() <= 1
    assert len(pictures) == 17 * 80


def test_it_writes_both_files_and_a_sheet(call_main, fail, monkeypatch, tmp_path):
    assert "sheet.txt" in fail(draw_flowers, "--sheet", "sheet.txt")
    monkeypatch.setattr(draw_flowers, "SPECIES", SPECIES[:3])
    monkeypatch.setattr(draw_flowers, "PICTURES_PER_SPECIES", 4)
    monkeypatch.setattr(draw_flowers, "SHEET_ROWS", 4)
    options = "--output new --sheet sheet.png --seed 3"
    call_main(draw_flowers, *options.split())
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    for key, label, image in rows_with_keys(tmp_path / "new", 3, SPECIES[:3], 4):
        assert label == key[1].name and (image == draw_flowers.draw_one(*key)).all()
