"""load_image, on pictures of many modes; and alone, in a copy."""

import os
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import ROOT, error_of, run_alone, save_image
from PIL import Image

from pyimagesearch.images import load_image


@pytest.mark.parametrize("name", ["RGB.png", "P.gif", "RGBA.png", "CMYK.tif"])
def test_pixels_are_rgb_64_by_64_and_bilinear(tmp_path, name):
    image = load_image(save_image(tmp_path / name, (60, 70, 200), mode=name[:-4]))
    assert image.shape == (64, 64, 3) and image.dtype == "uint8"
    # 80 x 60 pixels, the upper half dark: wider and shorter than 64 x 64.
    assert (image[0] == [30, 35, 100]).all() and (image[-1] == [60, 70, 200]).all()
    assert [*image[31:33, 0, 2]] == [103, 197]


def test_a_photograph_is_turned_upright(tmp_path):
    upright = np.zeros((64, 64, 3), "uint8")
    upright[:16] = 200  # a bright sky
    (exif := Image.Exif())[0x0112] = 6
    Image.fromarray(upright).rotate(90).save(tmp_path / "x.jpg", exif=exif)
    np.testing.assert_allclose(load_image(tmp_path / "x.jpg"), upright, atol=4)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_are_scaled_to_8_and_transparent_to_white(tmp_path, suffix):
    ramp, path = np.arange(64, dtype="uint16") * 1040, tmp_path / f"ramp.{suffix}"
    Image.fromarray(np.tile(ramp, (64, 1))).save(path, transparency=9360)
    wanted = np.round(ramp / 257)
    wanted[9] = 255 if suffix == "png" else 36  # the others have no transparency
    np.testing.assert_array_equal(load_image(path)[5, :, 1], wanted)


def test_transparency_becomes_white(tmp_path):
    pixels = np.zeros((64, 64, 4), "uint8")
    pixels[:, 32:] = (0, 90, 0, 255)
    picture = Image.fromarray(pixels)  # its left half is black, but transparent
    for k, changed in enumerate((picture, picture.convert("LA"), picture.quantize())):
        changed.save(tmp_path / f"{k}.png")
    picture.convert("RGB").save(tmp_path / "5.png", transparency=(0, 0, 0))
    for path in tmp_path.iterdir():
        image = load_image(path, (20, 64, 3))
        assert (image[:, :32] == 255).all() and (image[:, 32:, 0] < 100).all(), path


def test_one_channel_is_grey_and_another_shape_can_be_asked_for(tmp_path):
    image = load_image(save_image(tmp_path / "red.png", (200, 0, 0)), (24, 40, 1))
    assert image.shape == (24, 40, 1) and (image[-1] == 60).all()  # 0.299 red


def test_what_cannot_be_read_is_an_error_with_its_path(tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("no image")
    os.truncate(save_image(tmp_path / "half.jpg", size=(300, 300)), 900)
    for dtype in ("float32", "int32"):
        Image.fromarray(np.zeros((9, 9), dtype)).save(tmp_path / f"{dtype}.tif")
    for path in [*tmp_path.iterdir(), tmp_path / "missing.png"]:
        message = error_of(load_image, path)
        assert message.startswith(f"{path}: ") and "Err" not in message
    reason = "2 channels in the shape (8, 8, 2); make it 3 (RGB) or 1 (grey)"
    assert error_of(load_image, "x", (8, 8, 2)) == f"x: {reason}"
    monkeypatch.setattr(Image, "open", Mock(side_effect=MemoryError))  # has no text
    assert error_of(load_image, "x.png") == "x.png: MemoryError()"


def test_it_can_be_copied_with_csv_rows_and_needs_numpy_and_pillow_alone(tmp_path):
    text = (ROOT / "pyimagesearch" / "images.py").read_text()
    (tmp_path / "images.py").write_text(text.replace("pyimagesearch.csv", "csv"))
    save_image(tmp_path / "x.png")
    run_alone(tmp_path, "from images import load_image\nload_image('x.png')")
