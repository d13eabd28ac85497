"""Build the two CSVs from photographs.

`python -m pyimagesearch.build_csv` downloads Flowers-17 (Visual Geometry Group,
Oxford) and writes flowers17_training.csv and flowers17_testing.csv.
"""

import re
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np
from tensorflow import keras

from pyimagesearch.csv_rows import IMAGE_SHAPE, write_csvs
from pyimagesearch.options import one_line_parser, output_folder, seed, share
from pyimagesearch.safe_files import one_line_errors

URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz"
SHA256 = "fe38a60f8b4a95e657551247d3e7d799a3fafcdbc595be504b12839967823d70"

# jpg/image_0001.jpg to image_0080.jpg are daffodils, the next 80 snowdrops, ...
FLOWERS = [
    "daffodil",
    "snowdrop",
    "lilyvalley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "coltsfoot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
]
IMAGES_A_CLASS = 80
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif"}


def download():
    """Return the path of the official archive, downloaded at most once.

    Keras keeps it in ~/.keras/datasets. A failed download or a wrong checksum is
    a ValueError.
    """
    try:
        return keras.utils.get_file(
            origin=URL, file_hash=SHA256, hash_algorithm="sha256"
        )
    except Exception as error:
        # get_file raises a bare Exception where the server can't be reached.
        raise ValueError(f"{URL}: {error}") from error


def unpack(archive, folder):
    """Unpack a tar archive, compressed or not, into `folder`, and nowhere else.

    An archive that is cut, or that reaches out of the folder, is a ValueError.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{archive}: can't be unpacked ({reason})") from error


def find_images(folder):
    """Return the paths of the images in `folder` and their labels, as two lists.

    The folder, or a jpg folder in it, holds Flowers-17's image_0001.jpg and so on,
    whose number tells the class; or it holds one sub-folder a class, named as the
    label. Both lists are in a fixed order. Fewer than two classes, or a name that
    can't be a label in a CSV, is a ValueError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    paths = sorted(folder.glob("image_*.jpg")) or sorted(folder.glob("jpg/image_*.jpg"))
    if paths:
        labels = [_flower(path) for path in paths]
    else:
        paths = sorted(
            path
            for path in folder.glob("*/*")
            if path.suffix.lower() in SUFFIXES and not path.parent.name.startswith(".")
        )
        labels = [path.parent.name for path in paths]
    for label in set(labels):
        utf8 = label.encode(errors="ignore").decode()
        if re.search(r"[,\r\n]", label) or not label == label.strip() == utf8:
            raise ValueError(
                f"{folder}: the class name {label!r} can't stand in a CSV; rename that"
                " folder, without comma, line break or spaces at its ends"
            )
    if len(set(labels)) < 2:
        raise ValueError(
            f"{folder}: images of {len(set(labels))} classes, but two are the least;"
            " put each class into a sub-folder of its own"
        )
    return paths, labels


def _flower(path):
    number = re.fullmatch(r"image_(\d{4})", path.stem)
    if not number or not 1 <= int(number[1]) <= IMAGES_A_CLASS * len(FLOWERS):
        raise ValueError(f"{path}: not one of Flowers-17's image_0001 to image_1360")
    return FLOWERS[(int(number[1]) - 1) // IMAGES_A_CLASS]


def load_images(paths):
    """Return the images as uint8 arrays of shape (64, 64, 3), RGB, and show progress.

    Each is resized, bilinear and without keeping its aspect ratio. A file that is
    no image, or only half of one, is a ValueError.
    """
    progress = keras.utils.Progbar(len(paths), unit_name="image")
    images = []
    for path in paths:
        try:
            image = keras.utils.load_img(
                path, target_size=IMAGE_SHAPE[:2], interpolation="bilinear"
            )
            images.append(np.asarray(image))
        except Exception as error:
            # Each of Pillow's decoders has its own exceptions for a broken file.
            reason = f"can't be read as an image ({type(error).__name__})"
            raise ValueError(f"{path}: {reason}; repair or remove it") from error
        progress.add(1)
    return images


def main():
    parser = one_line_parser(
        "Build the two CSVs from photographs, by default Flowers-17's."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--archive", metavar="FILE", help="archive to take instead of the download"
    )
    source.add_argument(
        "--images",
        metavar="DIR",
        help="folder to take instead: Flowers-17's, or one sub-folder a class",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=output_folder,
        default=".",
        help="folder for the CSVs",
    )
    parser.add_argument(
        "--test-size", type=share, default=0.25, help="share of the testing CSV"
    )
    parser.add_argument(
        "--seed", type=seed, default=42, help="same images and seed, same CSVs"
    )
    args = parser.parse_args()

    with one_line_errors(), tempfile.TemporaryDirectory() as unpacked:
        archive = args.archive
        if not args.images:
            archive = archive or download()
            unpack(archive, unpacked)
        try:
            paths, labels = find_images(args.images or unpacked)
            images = load_images(paths)
        except ValueError as error:
            # The reader knows the archive, not the folder it was unpacked into.
            raise ValueError(str(error).replace(unpacked, str(archive))) from error
        write_csvs(images, labels, args.output, args.test_size, args.seed)


if __name__ == "__main__":
    main()
