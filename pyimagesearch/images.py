"""Read picture files; needs only numpy, Pillow and csv_rows.py.

If you copy it beside csv_rows.py, change its last import to `from csv_rows import ...`.
"""

import numpy as np
from PIL import Image, ImageOps

from pyimagesearch.csv_rows import IMAGE_SHAPE, InputError


def load_image(path, shape=IMAGE_SHAPE):
    """Return the picture in a file as a uint8 array, 0 to 255, of this shape.

    The shape is height, width and channels, 3 for RGB or 1 for grey. The picture is
    turned upright by its EXIF orientation, scaled from 16 bits to 8, put on white where
    transparent, converted to RGB or grey, and resized (bilinear, without keeping the
    aspect ratio). Raises InputError, naming the file, if it can't be read, or not as
    an image of this shape.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        reason = f"{channels} channels in the shape {shape}"
        raise InputError(f"{path}: {reason}; make it 3 (RGB) or 1 (grey)")
    try:
        picture = _upright_8_bits(path)
        picture = picture.convert("RGB" if channels == 3 else "L")
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    except Exception as error:  # each of Pillow's decoders raises its own
        reason = getattr(error, "strerror", None) or str(error) or repr(error)
        raise InputError(f"{path}: {reason}") from error
    return np.asarray(picture).reshape(shape)


def _upright_8_bits(path):
    with Image.open(path) as picture:
        # Pillow's mode I has 32 bits, but is used for 16-bit PGMs, too.
        if picture.mode == "F" or (picture.mode == "I" and picture.format != "PPM"):
            raise InputError("more than 16 bits per channel; convert it to 8")
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        pixels = np.asarray(picture)
        pixels = np.where(pixels == picture.info.get("transparency"), 65535, pixels)
        picture = Image.fromarray(np.round(pixels / 257).astype("uint8"))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture
