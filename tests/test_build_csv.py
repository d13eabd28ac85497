"""The builder, on images and archives that the tests make."""

import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path, PurePath
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import train_test_split

from pyimagesearch.csv_rows import InputError, check_csvs, read_labels, read_rows
from pyimagesearch.datasets import build_csv

NAMES = ["flowers17_training.csv", "flowers17_testing.csv"]
FLOWERS17 = build_csv.FLOWERS17
SUFFIXES = [".tar", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz"]
EIGHT = {"iris": 8, "rose": 8}


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """Old CSVs, and a place to unpack in: what escapes from it stays in tmp_path."""
    for name in NAMES:
        (tmp_path / name).write_text("old")
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a" / "b" / "c"))


def save_image(path, colour=(1, 2, 3), size=(80, 60), mode="RGB"):
    """Save a picture in one colour, the upper half of it at half the brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.array(colour, "uint8"), (size[1], size[0], 1))
    pixels[: size[1] // 2] //= 2
    image = Image.fromarray(pixels)
    (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    return path


@pytest.fixture
def classes(tmp_path):
    """A folder of eight roses and eight irises, in formats of all kinds."""
    suffixes = ["jpg", "jpeg", "png", "bmp", "gif", "JPG", "webp", "tif"]
    for label, red in (("rose", 200), ("iris", 60)):
        for k, suffix in enumerate(suffixes):
            save_image(tmp_path / "images" / label / f"{k}.{suffix}", (red, 10 * k, 99))
    return tmp_path / "images"


@pytest.fixture
def flat(monkeypatch, tmp_path):
    """A folder in the layout of Flowers-17, cut down to four images per class."""
    names = [name for k, name in enumerate(FLOWERS17) if k % 80 in (0, 1, 40, 79)]
    monkeypatch.setattr(build_csv, "FLOWERS17", {k: FLOWERS17[k] for k in names})
    for name in names:
        save_image(tmp_path / "flat" / "jpg" / name)
    (tmp_path / "flat" / "jpg" / "files.txt").write_text("\n".join(names))
    return tmp_path / "flat"


def pack(folder, path, top="."):
    """Pack a folder's content into an archive, below the folder `top`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for file in sorted(folder.rglob("*")):
                zipped.write(file, Path(top, file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as tar:
            tar.add(folder, top)
    return path


@pytest.fixture
def build(call_main, tmp_path):
    """A function that runs the builder and counts the labels in its two CSVs."""

    def run(*args):
        call_main(build_csv, *args, "--output", "out")
        training, testing = (read_labels(tmp_path / "out" / name) for name in NAMES)
        return Counter(training + testing)

    return run


@pytest.mark.parametrize(
    ("args", "size", "seed"),
    [((), 0.25, 42), (("--seed", 0), 0.25, 0), (("--test-size", 0.5), 0.5, 42)],
)
def test_the_files_are_scikit_learns_split(build, classes, tmp_path, args, size, seed):
    assert build("--images", classes, *args) == EIGHT
    paths = sorted(classes.glob("*/*"))
    parts = train_test_split(paths, test_size=size, random_state=seed)
    for name, part in zip(NAMES, parts):
        written = [row[1:] for row in read_rows(tmp_path / "out" / name)]
        assert [label for label, _ in written] == [path.parent.name for path in part]
        images = [build_csv.load_image(path) for path in part]
        np.testing.assert_array_equal([image for _, image in written], images)


def test_a_class_may_be_a_link_to_a_folder(build, classes, tmp_path):
    (classes / "rose").symlink_to((classes / "rose").rename(tmp_path / "elsewhere"))
    assert build("--images", classes) == EIGHT


@pytest.mark.parametrize("new", ["0.jfif", "0.png", "0.dat", "0", "2026/x.jpg/0"])
def test_neither_an_images_name_nor_its_depth_matters(build, classes, new):
    (classes / "rose" / new).parent.mkdir(parents=True, exist_ok=True)
    (classes / "rose" / "0.jpg").rename(classes / "rose" / new)
    assert build("--images", classes) == EIGHT


def test_litter_is_left_out_and_counted(build, classes, capsys):
    (classes / "rose" / "T.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (classes / "rose" / "e").write_bytes(b"")
    (classes / "rose" / "no\udce9").write_text("no image")
    (classes / "rose" / "zzz.txt").write_text("P3 photographs, taken in May")
    (classes / "rose" / "._0.jpg").write_bytes(b"\0\5\x16\7" + bytes(99))
    save_image(classes / ".cache" / "x.png")
    (classes / "lily").mkdir()
    (classes / "iris" / "gone.jpg").symlink_to("nowhere.jpg")
    (classes / "iris" / "all").symlink_to(classes)
    save_image(classes / "cover.png")
    assert build("--images", classes) == EIGHT
    assert capsys.readouterr().out.split("left out, ")[1:] == [
        "hidden: 2 ('.cache/x.png', 'rose/._0.jpg')\n",
        "not regular files: 2 ('iris/all', 'iris/gone.jpg')\n",
        "not images that Pillow can open: 4 ('rose/T.db', 'rose/e', 'rose/no\\udce9')\n",
        "folders without an image: 1 ('lily')\n",
        "images outside the class folders: 1 ('cover.png')\n",
    ]


def test_train_accepts_what_the_summary_counts(build, classes, tmp_path, capsys):
    build("--images", classes)
    output = capsys.readouterr().out
    parts = check_csvs(*(tmp_path / "out" / name for name in NAMES))
    assert capsys.readouterr().err == "" and "16/16" in output
    assert output.splitlines()[-4:] == [
        "class training  testing",
        *(f"{k} {parts[0].count(k):9} {parts[1].count(k):8}" for k in EIGHT),
        "all         12        4",
    ]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("P", "gif"), ("RGBA", "png"), ("CMYK", "tif")]
)
def test_pixels_are_rgb_64_by_64_and_bilinear(tmp_path, mode, suffix):
    path = save_image(tmp_path / f"0.{suffix}", (60, 70, 200), mode=mode)
    image = build_csv.load_image(path)
    assert image.shape == (64, 64, 3) and image.dtype == "uint8"
    # 80 x 60 pixels, the upper half dark: wider and shorter than 64 x 64.
    assert (image[0] == [30, 35, 100]).all() and (image[-1] == [60, 70, 200]).all()
    assert 100 <= image[31, 0, 2] <= image[32, 0, 2] <= 200


@pytest.mark.parametrize(
    ("suffix", "orientation", "degrees"),
    [("png", 3, 180), ("jpg", 6, 90), ("webp", 8, 270), ("tif", 6, 90)],
)
def test_a_photograph_is_turned_upright(tmp_path, suffix, orientation, degrees):
    upright = np.zeros((64, 64, 3), "uint8")
    upright[:16] = 200  # a bright sky
    exif, path = Image.Exif(), tmp_path / f"phone.{suffix}"
    exif[0x0112] = orientation
    Image.fromarray(upright).rotate(degrees).save(path, exif=exif)
    difference = np.abs(build_csv.load_image(path).astype(int) - upright)
    assert difference.max() <= 4  # JPEG is lossy


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("grey", [None, 9360])
def test_16_bits_are_scaled_to_8_and_transparent_to_white(tmp_path, suffix, grey):
    ramp, path = np.arange(64, dtype="uint16") * 1040, tmp_path / f"ramp.{suffix}"
    Image.fromarray(np.tile(ramp, (64, 1))).save(path, transparency=grey)
    scaled = np.round(ramp / 257)
    if suffix == "png":  # the others can't say what is transparent
        scaled[ramp == grey] = 255
    wanted = np.stack([scaled] * 3, axis=1)
    np.testing.assert_array_equal(build_csv.load_image(path), [wanted] * 64)


def test_an_opaque_picture_is_not_composited(tmp_path, monkeypatch):
    picture = build_csv.load_image(save_image(tmp_path / "opaque.png"))
    monkeypatch.delattr(Image, "alpha_composite")  # which takes memory
    assert (build_csv.load_image(tmp_path / "opaque.png") == picture).all()


def test_transparency_becomes_white(tmp_path):
    pixels = np.zeros((64, 64, 4), "uint8")
    pixels[:, 32:] = (0, 90, 0, 255)
    picture = Image.fromarray(pixels)  # its left half is black, but transparent
    picture.save(tmp_path / "1.png")
    picture.convert("LA").save(tmp_path / "2.png")
    picture.quantize().save(tmp_path / "3.png")
    picture.save(tmp_path / "4.webp", lossless=True)
    picture.convert("RGB").save(tmp_path / "5.png", transparency=(0, 0, 0))
    for path in tmp_path.glob("?.*"):
        image = build_csv.load_image(path)
        assert (image[:, :32] == 255).all() and (image[:, 32:, 0] < 100).all(), path


@pytest.mark.parametrize("source", ["--images", "--archive"])
@pytest.mark.parametrize("part", ["", "jpg"])
def test_the_layout_of_flowers17(build, flat, tmp_path, source, part):
    folder = flat / part
    path = folder if source == "--images" else pack(folder, tmp_path / "flat.zip")
    assert build(source, path) == dict.fromkeys(build_csv.FLOWERS, 4)


def test_the_number_of_an_image_tells_its_class():
    ends = [FLOWERS17[f"image_{k:04}.jpg"] for k in (1, 80, 81, 1280, 1281, 1360)]
    assert ends == ["daffodil", "daffodil", "snowdrop", "windflower", "pansy", "pansy"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("image_1360.jpg", "jpg/image_1361.jpg"), ("files.txt", "rose/1.jpg")],
)
def test_anything_but_exactly_flowers17_is_refused(fail, flat, old, new):
    (flat / "rose").mkdir()
    (flat / "jpg" / old).rename(flat / new)
    message = fail(build_csv, "--images", flat)
    assert f"{flat}: jpg/image_0001.jpg looks like" in message
    assert "not exactly its 1,360 images" in message


@pytest.mark.parametrize(
    ("suffix", "top"), zip(SUFFIXES, ["a/b", ".", "flower_photos", "a/b", "."])
)
def test_archives_with_any_number_of_folders_on_top(build, classes, suffix, top):
    save_image(classes / "__MACOSX" / "rose" / "._0.jpg")
    pack(classes / "iris", classes / "zzz.zip")  # a tar that ends in a zip is a tar
    path = pack(classes, classes.with_suffix(suffix), top)
    assert build("--archive", path) == EIGHT


# A folder's name holds neither NUL nor a slash.
@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=5))
def test_a_class_name_comes_out_as_it_went_in_or_is_refused(tmp_path_factory, name):
    paths = [PurePath("a tulip", "1.png"), PurePath(name, "2.png")]
    try:
        labels = build_csv.label_images(paths, "images")
    except InputError:
        return
    assert labels == ["a tulip", name]
    images, folder = np.zeros((2, 64, 64, 3), "uint8"), tmp_path_factory.getbasetemp()
    build_csv.write_csvs(images, [name, name], folder)
    assert [read_labels(folder / csv_name) for csv_name in NAMES] == [[name], [name]]


@pytest.mark.parametrize(
    "name", ["a,b", "a\nb", "a\n", "\n", "a\x85", " a", "a\u2028b", "\ufeffa", "\udce9"]
)
def test_a_class_name_that_no_csv_can_hold(fail, classes, name):
    (classes / "rose").rename(classes / name)
    message = f"{classes}: the class name {name!r} can't go in a CSV"
    assert message in fail(build_csv, "--images", classes)


@pytest.mark.parametrize("others", ["test", "val", "test val valid validation"])
def test_train_beside_other_parts_is_no_class(fail, classes, tmp_path, others):
    parts = sorted(["train", *others.split()])
    for part in parts:
        shutil.copytree(classes / "iris", tmp_path / "top" / part)
    path = pack(tmp_path / "top", tmp_path / "photos.zip", "top")
    message = f"{path}: {', '.join(parts)} are parts of a data set, not classes; pass"
    assert message in fail(build_csv, "--archive", path)


def test_train_beside_other_things_is_a_class(build, classes):
    for name in ("train", "test"):
        shutil.copytree(classes / "rose", classes / name)
    assert build("--images", classes) == EIGHT | {"test": 8, "train": 8}


def test_fewer_than_two_classes(fail, classes):
    for name, number in (("rose", 1), ("iris", "none")):
        shutil.rmtree(classes / name)
        message = fail(build_csv, "--images", classes)
        assert f"{classes}: two or more folders of images that Pillow" in message
        assert f"there is {number};" in message


def test_what_is_not_there(fail, monkeypatch):
    monkeypatch.delattr(build_csv, "download")  # which an empty name doesn't mean
    assert "nowhere: No such file" in fail(build_csv, "--images", "nowhere")
    assert "there is none" in fail(build_csv, "--images", "")
    assert "can't be unpacked (" in fail(build_csv, "--archive", "")
    message = fail(build_csv, "--archive", "none.tgz")
    assert "none.tgz: can't be unpacked (No such file or directory)" in message


def test_a_folder_that_cannot_be_listed(fail, classes, monkeypatch):
    def scandir(path, scandir=os.scandir):  # root may list a folder of any mode
        if path == str(classes / "rose"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir)
    message = fail(build_csv, "--images", classes)
    assert f"{classes / 'rose'}: Permission denied" in message


def test_images_that_cannot_be_read_are_counted_and_three_are_named(fail, classes):
    (classes / "rose" / "a.jpg").write_text("no image")
    for dtype in ("float32", "int32"):
        Image.fromarray(np.zeros((9, 9), dtype)).save(classes / "rose" / f"{dtype}.tif")
    half = save_image(classes / "rose" / "half.jpg", size=(300, 300))
    half.write_bytes(half.read_bytes()[:900])
    path = pack(classes, classes.with_suffix(".zip"), "top")
    message = fail(build_csv, "--archive", path)
    first = "'top/rose/a.jpg' (cannot identify image file 'top/rose/a.jpg')"
    second = "'top/rose/float32.tif' (more than 16 bits per channel; convert it to 8)"
    start = f"{path}: can't read 4 of 20 images: {first}, {second}, 'top/rose/half"
    assert start in message and "int32" not in message
    assert message.endswith("); repair, shrink or remove them")


def test_an_error_without_a_text_says_its_type(fail, classes, monkeypatch):
    monkeypatch.setattr(build_csv, "load_image", Mock(side_effect=MemoryError))
    assert "'iris/0.jpg' (MemoryError), " in fail(build_csv, "--images", classes)


def test_large_pictures_are_read_without_a_warning(build, classes, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # 80 x 60 is 4800
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build("--images", classes) == EIGHT


def test_very_large_pictures_are_not_called_damaged(fail, classes, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    (classes / "rose" / "0.jpg").rename(classes / "rose" / "0")
    message = fail(build_csv, "--images", classes)
    assert "16 of 16" in message and "4800 pixels" in message and "shrink" in message


@pytest.mark.parametrize(
    ("size", "message"),
    [("0.9", "no images of rose to train on"), ("0.99", "train set will be empty")]
    + [(size, repr(size)) for size in ("0", "1", "-0.5", "half", "nan")],
)
def test_a_split_that_cannot_be_trained_on(fail, classes, size, message):
    assert message in fail(build_csv, "--images", classes, "--test-size", size)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_archive_and_one_with_a_flipped_bit(fail, classes, suffix):
    # Noise is like a photograph: it can't be compressed, and has no wrong bits.
    (classes / "rose" / "noise").write_bytes(np.random.default_rng(0).bytes(99_000))
    path = pack(classes, classes.with_suffix(suffix))
    text = path.read_bytes()
    contents = [text[: len(text) // 2]]
    for k in (len(text) // 5, len(text) // 2, len(text) * 4 // 5):
        contents.append(text[:k] + bytes([text[k] ^ 16]) + text[k + 1 :])
    for content in contents[: 1 if suffix == ".tar" else 4]:  # which has no checksum
        path.write_bytes(content)
        assert f"{path}: can't be unpacked (" in fail(build_csv, "--archive", path)


def test_a_tar_that_ends_or_has_zeros_between_two_files(fail, classes):
    path = pack(classes, classes.with_suffix(".tar"))
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[9].offset
    text = path.read_bytes()
    for rest in (b"", bytes(512) + text[offset + 512 :]):
        path.write_bytes(text[:offset] + rest)
        assert "truncated or damaged" in fail(build_csv, "--archive", path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>" * 99, b"Rar!\x1a\7\1\0"])
def test_what_is_no_archive(fail, tmp_path, content):
    (tmp_path / "photos.tgz").write_bytes(content)
    message = fail(build_csv, "--archive", "photos.tgz")
    assert "photos.tgz: can't be unpacked (neither a tar nor a zip file" in message


@pytest.mark.parametrize("name", ["../no.jpg", "rose/../../../no.jpg", "{}/no.jpg"])
def test_a_zip_writes_nowhere_else(fail, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as zipped:
        zipped.writestr(name.format(tmp_path), "evil")
    # fail() finds any file that is new in tmp_path, where all is unpacked.
    assert "two or more folders" in fail(build_csv, "--archive", "evil.zip")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("../no.jpg", tarfile.REGTYPE, "can't be unpacked ('../no.jpg' would be"),
        ("{}/no.jpg", tarfile.REGTYPE, "there is none"),
        ("rose/link", tarfile.SYMTYPE, "can't be unpacked ('rose/link' is a link)"),
        ("rose/link", tarfile.LNKTYPE, "can't be unpacked ('rose/link' is a link)"),
    ],
)
def test_a_tar_writes_nowhere_else(fail, tmp_path, name, kind, message):
    member = tarfile.TarInfo(name.format(tmp_path))
    member.type, member.linkname = kind, "0.jpg"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(member)
    assert message in fail(build_csv, "--archive", "evil.tar")


def test_a_file_in_place_of_the_output_folder(fail, classes):
    message = fail(build_csv, "--images", classes, "--output", NAMES[0])
    assert f"{NAMES[0]}: Not a directory" in message


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_in_place_of_one_csv_keeps_the_other(fail, classes, tmp_path, name):
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    message = fail(build_csv, "--images", classes)
    assert f"{tmp_path / name}: Is a directory" in message


def test_a_training_csv_that_cannot_be_replaced_keeps_both(fail, classes, monkeypatch):
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(os, "replace", Mock(side_effect=denied))
    message = fail(build_csv, "--images", classes)
    assert f"{NAMES[0]}: Permission denied" in message


@pytest.fixture
def official(flat, monkeypatch, tmp_path):
    """The archive to download, on this machine in place of Oxford's."""
    path = pack(flat, tmp_path / "flowers.zip")
    shutil.rmtree(Path(os.environ["KERAS_HOME"], "datasets"), ignore_errors=True)
    monkeypatch.setattr(build_csv, "URL", path.as_uri())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(build_csv, "SHA256", digest)
    return path


def test_without_options_it_downloads_once(official, build):
    assert build() == dict.fromkeys(build_csv.FLOWERS, 4)
    official.unlink()
    assert build() == dict.fromkeys(build_csv.FLOWERS, 4)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SHA256", "0" * 64, "does not match"),
        ("URL", "http://127.0.0.1:9/none.tgz", "URL fetch failure"),
    ],
)
def test_a_download_that_fails(official, fail, monkeypatch, name, value, reason):
    monkeypatch.setattr(build_csv, name, value)
    message = fail(build_csv)
    assert f"{build_csv.URL}: " in message and reason in message
