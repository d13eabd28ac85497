"""The builder, on images and archives that the tests make."""

import shutil
import tarfile
import tempfile
import tracemalloc
from collections import Counter
from hashlib import sha256
from pathlib import Path, PurePosixPath
from unittest.mock import patch

import numpy as np
import pytest
from conftest import error_of, save_image
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.model_selection import train_test_split

from pyimagesearch.csv_rows import InputError, read_labels, read_rows
from pyimagesearch.datasets import build_csv
from pyimagesearch.images import load_image

NAMES = ["flowers17_training.csv", "flowers17_testing.csv"]
KINDS = ["tar", "zip", "gztar", "bztar", "xztar"]
EIGHT = {"iris": 8, "rose": 8}
# The reader must not see any: an image of 80 x 60 pixels is made to be a large one.
pytestmark = pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """Old CSVs; archives are unpacked below tmp_path, where fail() sees new files."""
    for name in NAMES:
        (tmp_path / name).write_text("old")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def classes(tmp_path, monkeypatch):
    """A folder of eight roses and eight irises, in formats of all kinds, and large."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    suffixes = ["jpg", "jpeg", "png", "bmp", "gif", "JPG", "webp", "tif"]
    for label, red in (("rose", 255), ("iris", 60)):
        for k, suffix in enumerate(suffixes):
            save_image(tmp_path / "images" / label / f"{k}.{suffix}", (red, 10 * k, 99))
    return tmp_path / "images"


def pack(folder, kind="zip", depth=0):
    """Pack a folder into an archive beside it, below this many folders of its path."""
    root = [folder, *folder.parents][depth]
    return Path(shutil.make_archive(folder, kind, root, str(folder.relative_to(root))))


@pytest.fixture
def build(call_main, tmp_path):
    """A function that runs the builder and counts the labels in its two CSVs."""

    def run(*args):
        call_main(build_csv, *args, "--output", "out")
        return Counter(k for csv in NAMES for k in read_labels(tmp_path / "out" / csv))

    return run


@pytest.mark.parametrize("args", ["", "--seed 0", "--test-size 0.5"])
def test_the_files_are_scikit_learns_split(build, classes, tmp_path, args):
    shutil.copytree(classes / "iris", classes / "rose-red")  # before rose/, as text
    assert build("--images", classes, *args.split()) == EIGHT | {"rose-red": 8}
    paths = sorted(classes.glob("*/*"), key=Path.as_posix)
    size, seed = 0.5 if "size" in args else 0.25, 0 if "seed" in args else 42
    parts = train_test_split(paths, test_size=size, random_state=seed)
    for name, part in zip(NAMES, parts):
        _, labels, images = zip(*read_rows(tmp_path / "out" / name))
        assert [*labels] == [path.parent.name for path in part]
        np.testing.assert_array_equal(images, [load_image(path) for path in part])


@pytest.mark.parametrize("new", ["0.jfif", "0.png", "0.dat", "0", "2026/x.jpg/0"])
def test_neither_an_images_name_nor_its_depth_matters(build, classes, new):
    (classes / "rose" / new).parent.mkdir(parents=True, exist_ok=True)
    (classes / "rose" / "0.jpg").rename(classes / "rose" / new)
    assert build("--images", classes) == EIGHT


def test_rows_are_counted_and_litter_is_left_out(build, classes, capsys):
    for name, text in (("e", ""), ("no\udce9", "P3 x"), ("T.db", "\0"), ("z", "text")):
        (classes / "rose" / name).write_text(text)
    (classes / "lily" / "new").mkdir(parents=True)
    (classes / "fern").symlink_to("lily")
    (classes / "iris" / "gone.jpg").symlink_to("nowhere.jpg")
    (classes / "iris" / "all").symlink_to(classes)
    for name in (".cache/x.png", "__MACOSX/x.png", "rose/._0.jpg", "cover.png"):
        save_image(classes / name)
    with patch.object(build_csv.keras.utils, "Progbar") as progress:
        assert build("--images", classes) == EIGHT
    assert progress.return_value.add.call_count == 16
    counts, *left_out = capsys.readouterr().out.split("\nleft out, ")
    assert " ".join(counts.split()[2:]) == "testing iris 5 3 rose 7 1 all 12 4"
    assert left_out == [
        "hidden: 3 ('.cache/x.png', '__MACOSX/x.png', 'rose/._0.jpg')",
        "not regular files: 2 ('iris/all', 'iris/gone.jpg')",
        "not images that Pillow can open: 4 ('rose/T.db', 'rose/e', 'rose/no\\udce9')",
        "folders without an image: 4 ('fern', 'fern/new', 'lily')",
        "images outside the class folders: 1 ('cover.png')\n",
    ]


def test_it_holds_one_image_at_a_time(build, classes):
    for k in range(300):
        save_image(classes / "rose" / f"{k + 10}.png")
    tracemalloc.start()
    build("--images", classes)
    assert tracemalloc.get_traced_memory()[1] < 100 * 64 * 64 * 3
    tracemalloc.stop()


@pytest.mark.parametrize(("kind", "depth"), [*zip(KINDS, [2, 0, 1, 2, 0])])
def test_archives_with_any_number_of_folders_on_top(build, classes, kind, depth):
    pack(classes / "iris").rename(classes / "zzz.zip")  # a tar that ends in a zip
    assert build("--archive", pack(classes, kind, depth)) == EIGHT


def label(*names):
    return build_csv.label_images([*map(PurePosixPath, names)], "x.zip")


@pytest.mark.parametrize("top", ["", "jpg/"])
def test_numbers_are_the_labels_of_exactly_flowers17(top):
    names = [f"{top}image_{k:04}.jpg" for k in range(1, 1361)]
    ends = [label(*names)[k] for k in (0, 79, 80, 1279, 1280, 1359)]
    assert " ".join(ends) == "daffodil daffodil snowdrop windflower pansy pansy"
    for wrong in (names[1:], [*names, "rose/1.jpg"], [*names, f"{top}image_1361.jpg"]):
        message = f"x.zip: {wrong[0]} looks like Flowers-17's, but these are not"
        assert message in error_of(label, *wrong)


BAD_NAMES = ["a,b", "a\nb", "a\n", "\n", "a\x85", " a", "a\u2028b", "\ufeffa", "\udce9"]


@given(st.sampled_from(BAD_NAMES) | st.from_regex(r"[^/\0.]{1,5}", fullmatch=True))
def test_a_class_name_comes_out_as_it_went_in_or_is_refused(tmp_path_factory, name):
    try:
        assert label("a tulip/1.png", f"{name}/1.png") == ["a tulip", name]
    except InputError as error:
        assert f"x.zip: the class name {name!r} can't go in a CSV" in str(error)
        return
    folder, image = tmp_path_factory.getbasetemp(), np.zeros((64, 64, 3), "uint8")
    build_csv.write_csvs([(1, name), (2, name)], lambda k: image, folder)
    assert [read_labels(folder / csv_name) for csv_name in NAMES] == [[name], [name]]


PARTS = """test train val valid validation, Testing Training, Meta test train,
    test_set training_set, seg_pred seg_test seg_train, test1 train"""
CLASSES = "train bus car, steam_train model_train, test val, trains metals valves"


def test_parts_of_a_data_set_are_no_classes_but_what_sounds_like_them_is():
    for parts in map(str.split, PARTS.split(",")):
        message = error_of(label, *(f"{part}/1.png" for part in parts))
        assert f"x.zip: {', '.join(parts)} are parts of a data set, not" in message
    for classes in map(str.split, CLASSES.split(",")):
        assert label(*(f"{name}/1.png" for name in classes)) == classes


def test_a_copy_of_the_classes_inside_and_fewer_than_two_classes():
    assert label("iris/1.png", "rose/iris/1.png") == ["iris", "rose"]
    message = "x.zip: the folder 'c' holds folders named like all the other"
    assert message in error_of(label, "a/1.png", "b/1.png", "c/a/1.png", "c/b/1.png")
    message = "x.zip: 1 folder of images that Pillow can open; there must be two"
    assert message in error_of(label, "rose/1.png", "2.png")


def test_what_is_not_there_or_cannot_be_listed_or_unpacked(fail, monkeypatch, tmp_path):
    monkeypatch.delattr(build_csv, "download")  # which an empty name doesn't mean
    for name in ("nowhere", ""):
        assert f"[ERROR] {name}: " in fail(build_csv, "--images", name)
    path = pack(save_image(tmp_path / "one" / "x.png").parent)
    assert f"{path}: no folder of images" in fail(build_csv, "--archive", path)
    for name, reason in (("", ""), ("none.tgz", ""), (NAMES[0], "neither a tar nor")):
        message = f"] {name}: can't be unpacked ({reason}"
        assert message in fail(build_csv, "--archive", name)
    denied = PermissionError(13, "Permission denied", "rose")
    monkeypatch.setattr("os.walk", lambda top, onerror: onerror(denied) or [])
    assert fail(build_csv, "--images", ".") == "[ERROR] rose: Permission denied"


def test_three_of_the_images_that_cannot_be_read_are_named(fail, classes, monkeypatch):
    for name in "abcd":
        (classes / "rose" / f"{name}.jpg").write_text("no image")
    path = pack(classes, depth=1)
    message = fail(build_csv, "--archive", path)
    assert f"{path}: can't read 4 of 20 images; repair, shrink or remove" in message
    assert f" {Path('images/rose/c.jpg')}: " in message and "d.jpg: " not in message
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # too large is an image, too
    (classes / "rose" / "0.jpg").rename(classes / "rose" / "0")
    assert "can't read 20 of 20 images;" in fail(build_csv, "--images", classes)


def test_a_share_or_a_folder_that_cannot_be(fail, classes):
    for share in ("0.99", "1", "-0.5", "half"):
        fail(build_csv, "--images", classes, f"--test-size={share}")
    pairs = [(k, f"c{k}") for k in range(8)]
    message = error_of(build_csv.write_csvs, pairs, None, classes, 0.5)
    assert "no images of c0, c1, c5 and 1 more to train on; add images," in message
    assert f"{NAMES[0]}: " in fail(build_csv, "--images", classes, "--output", NAMES[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_and_one_with_a_flipped_bit(fail, classes, kind):
    # Noise is like a photograph: it can't be compressed, and has no wrong bits.
    (classes / "rose" / "noise").write_bytes(np.random.default_rng(0).bytes(99_000))
    path = pack(classes, kind)
    text = path.read_bytes()
    half = len(text) // 2
    flipped = text[:half] + bytes([text[half] ^ 16]) + text[half + 1 :]
    for content in [text[:half], flipped][: 1 if kind == "tar" else 2]:  # no checksum
        path.write_bytes(content)
        assert f"{path}: can't be unpacked (" in fail(build_csv, "--archive", path)


def test_a_tar_that_ends_or_has_zeros_between_two_files(build, fail, classes):
    path = pack(classes, "tar")
    with tarfile.open(path) as tar:
        offset, end = tar.getmembers()[9].offset, tar.offset
    text = path.read_bytes()
    path.write_bytes(text[: end + 512])  # a single block of zeros is an end as well
    assert build("--archive", path) == EIGHT
    for rest in (b"", bytes(512) + text[offset + 512 :]):
        path.write_bytes(text[:offset] + rest)
        assert "truncated or damaged" in fail(build_csv, "--archive", path)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_tar_writes_nowhere_else(fail, tmp_path, kind):
    member = tarfile.TarInfo("../no.jpg")
    member.type, member.linkname = kind, "0.jpg"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(member)
    reason = "'../no.jpg'" + " is a link" * (kind != tarfile.REGTYPE)
    assert f"can't be unpacked ({reason}" in fail(build_csv, "--archive", "evil.tar")


def test_without_options_it_downloads_once_or_fails(build, classes, fail, monkeypatch):
    path = pack(classes)
    monkeypatch.setattr(build_csv, "URL", path.as_uri())
    monkeypatch.setattr(build_csv, "SHA256", sha256(path.read_bytes()).hexdigest())
    for name, value in (("SHA256", "0" * 64), ("URL", "http://127.0.0.1:9/none.tgz")):
        with monkeypatch.context() as context:
            context.setattr(build_csv, name, value)
            assert fail(build_csv).startswith(f"[ERROR] {build_csv.URL}: ")
    for _ in "12":
        assert build() == EIGHT
        path.unlink(missing_ok=True)
