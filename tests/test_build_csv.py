"""The builder, on images and archives that the tests make."""

import errno
import os
import shutil
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile
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

from pyimagesearch.csv_rows import InputError, check_csvs, read_labels, read_rows
from pyimagesearch.datasets import build_csv
from pyimagesearch.images import load_image

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


@pytest.fixture
def classes(tmp_path, monkeypatch):
    """A folder of eight roses and eight irises, in formats of all kinds, and large."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # 80 x 60 is 4800
    suffixes = ["jpg", "jpeg", "png", "bmp", "gif", "JPG", "webp", "tif"]
    for label, red in (("rose", 255), ("iris", 60)):
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
        with warnings.catch_warnings(action="error"):  # for the reader to see none
            call_main(build_csv, *args, "--output", "out")
        training, testing = (read_labels(tmp_path / "out" / name) for name in NAMES)
        return Counter(training + testing)

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


def test_it_holds_one_image_at_a_time(build, classes):
    for k in range(300):
        save_image(classes / "rose" / f"{k + 10}.png")
    tracemalloc.start()
    build("--images", classes)
    assert tracemalloc.get_traced_memory()[1] < 100 * 64 * 64 * 3
    tracemalloc.stop()


def test_train_accepts_what_the_summary_counts(build, classes, tmp_path, capsys):
    with patch.object(build_csv.keras.utils, "Progbar") as progress:
        build("--images", classes)
    assert progress.return_value.add.call_count == 16
    output = capsys.readouterr().out
    parts = check_csvs(*(tmp_path / "out" / name for name in NAMES))
    assert capsys.readouterr().err == ""
    counts = [f"{k} {parts[0].count(k):9} {parts[1].count(k):8}" for k in EIGHT]
    end = ["class training  testing", *counts, "all         12        4"]
    assert output.splitlines()[-4:] == end


@pytest.mark.parametrize("source", ["--images", "--archive"])
@pytest.mark.parametrize("part", ["", "jpg"])
def test_the_layout_of_flowers17(build, flat, tmp_path, source, part):
    folder = flat / part
    path = folder if source == "--images" else pack(folder, tmp_path / "flat.zip")
    assert build(source, path) == dict.fromkeys(build_csv.FLOWERS, 4)


def test_anything_but_exactly_flowers17_is_refused(fail, flat):
    ends = [FLOWERS17[f"image_{k:04}.jpg"] for k in (1, 80, 81, 1280, 1281, 1360)]
    assert " ".join(ends) == "daffodil daffodil snowdrop windflower pansy pansy"
    message = f"{flat}: jpg/image_0001.jpg looks like Flowers-17's, but these are not"
    for path in (flat / "jpg" / "image_1361.jpg", flat / "rose" / "1.jpg"):
        save_image(path)
        assert message in fail(build_csv, "--images", flat)
        path.unlink()


@pytest.mark.parametrize(("suffix", "top"), [*zip(SUFFIXES, ["a/b", ".", "top"] * 2)])
def test_archives_with_any_number_of_folders_on_top(build, classes, suffix, top):
    save_image(classes / "__MACOSX" / "rose" / "._0.jpg")
    pack(classes / "iris", classes / "zzz.zip")  # a tar that ends in a zip is a tar
    path = pack(classes, classes.with_suffix(suffix), top)
    assert build("--archive", path) == EIGHT


def label(folders):
    paths = [PurePosixPath(folder, "1.png") for folder in folders]
    return build_csv.label_images(paths, "x.zip")


BAD_NAMES = ["a,b", "a\nb", "a\n", "\n", "a\x85", " a", "a\u2028b", "\ufeffa", "\udce9"]
FOLDER_NAMES = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=5)


@given(st.sampled_from(BAD_NAMES) | FOLDER_NAMES.filter(lambda name: name != "."))
def test_a_class_name_comes_out_as_it_went_in_or_is_refused(tmp_path_factory, name):
    try:
        assert label(["a tulip", name]) == ["a tulip", name]
    except InputError as error:
        assert f"x.zip: the class name {name!r} can't go in a CSV" in str(error)
        return
    folder, image = tmp_path_factory.getbasetemp(), np.zeros((64, 64, 3), "uint8")
    build_csv.write_csvs([(1, name), (2, name)], lambda k: image, folder)
    assert [read_labels(folder / csv_name) for csv_name in NAMES] == [[name], [name]]


PARTS = """test train val valid validation, Testing Training, Test Train, Meta test train,
    test_set training_set, seg_pred seg_test seg_train, test1 train"""
CLASSES = """train bus car, cars buses trains, steam_train model_train, test val, yes no,
    0 1 2 3, cardboard glass metal paper trash, NORMAL PNEUMONIA, trains metals valves"""


def test_parts_of_a_data_set_are_no_classes_but_what_sounds_like_them_is():
    for parts in map(str.split, PARTS.split(",")):
        message = (
            f"x.zip: {', '.join(parts)} are parts of a data set, not classes; pass"
        )
        assert error_of(label, parts).startswith(message)
    for classes in map(str.split, CLASSES.split(",")):
        assert label(classes) == classes


def test_a_copy_of_the_classes_inside_and_fewer_than_two_classes(fail, classes):
    assert label(["iris", "rose/iris"]) == ["iris", "rose"]  # one inside another
    for name in EIGHT:
        shutil.copytree(classes / name, classes / "brain_tumor_dataset" / name)
    message = f"{classes}: the folder 'brain_tumor_dataset' holds folders named like"
    assert message in fail(build_csv, "--images", classes)
    shutil.rmtree(classes / "brain_tumor_dataset")
    for name, number in (("rose", 1), ("iris", "no")):
        shutil.rmtree(classes / name)
        message = f"{classes}: {number} folder of images that Pillow can open; there"
        assert message in fail(build_csv, "--images", classes)


def test_what_is_not_there_or_cannot_be_listed_or_unpacked(fail, monkeypatch, tmp_path):
    monkeypatch.delattr(build_csv, "download")  # which an empty name doesn't mean
    assert "] nowhere: " in fail(build_csv, "--images", "nowhere")
    assert "no folder of images" in fail(build_csv, "--images", "")
    for name in ("", "none.tgz"):
        assert f"] {name}: can't be unpacked (" in fail(build_csv, "--archive", name)
    for content in (b"", b"<!DOCTYPE html>" * 99, b"Rar!\x1a\7\1\0"):
        (tmp_path / "x.tgz").write_bytes(content)
        message = "x.tgz: can't be unpacked (neither a tar nor a zip file, or a trunc"
        assert message in fail(build_csv, "--archive", "x.tgz")
    denied = PermissionError(errno.EACCES, "Permission denied", "rose")
    monkeypatch.setattr(os, "walk", lambda top, onerror: onerror(denied) or [])
    assert fail(build_csv, "--images", ".") == "[ERROR] rose: Permission denied"


def test_three_of_the_images_that_cannot_be_read_are_named(fail, classes, monkeypatch):
    for name in "abcd":
        (classes / "rose" / f"{name}.jpg").write_text("no image")
    path = pack(classes, classes.with_suffix(".zip"), "top")
    message = fail(build_csv, "--archive", path)
    assert f"{path}: can't read 4 of 20 images; repair, shrink or remove" in message
    assert [f" {Path('top/rose', k)}.jpg: " in message for k in "abcd"] == [1, 1, 1, 0]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # too large is an image, too
    (classes / "rose" / "0.jpg").rename(classes / "rose" / "0")
    assert "can't read 20 of 20 images;" in fail(build_csv, "--images", classes)


def test_a_share_or_a_folder_that_cannot_be(fail, classes):
    for share in ("0.99", "1", "-0.5", "half"):
        fail(build_csv, "--images", classes, f"--test-size={share}")
    message = fail(build_csv, "--images", classes, "--test-size", "0.9")
    assert "no images of rose to train on; add images, or lower --test-size" in message
    pairs = [(k, f"c{k}") for k in range(8)]
    message = error_of(build_csv.write_csvs, pairs, None, classes, 0.5)
    assert "of c0, c1, c5 and 1 more to train on" in message
    assert f"{NAMES[0]}: " in fail(build_csv, "--images", classes, "--output", NAMES[0])


def test_if_the_testing_file_alone_cannot_be_replaced_the_error_says_so(tmp_path):
    def load(k):  # meanwhile a folder takes that file's place
        (tmp_path / "out" / NAMES[1]).mkdir(exist_ok=True)
        return np.zeros((64, 64, 3), "uint8")

    with pytest.raises(OSError, match=f"{NAMES[0]} is new already, .* run again"):
        build_csv.write_csvs([(k, "iris") for k in range(8)], load, tmp_path / "out")
    assert read_labels(tmp_path / "out" / NAMES[0]) == ["iris"] * 6


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


def test_a_tar_that_ends_or_has_zeros_between_two_files(build, fail, classes):
    path = pack(classes, classes.with_suffix(".tar"))
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
    name = "'../no.jpg'" if kind == tarfile.REGTYPE else "'rose/link' is a link)"
    member = tarfile.TarInfo(name.split("'")[1])
    member.type, member.linkname = kind, "0.jpg"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(member)
    # fail() finds any file that is new in tmp_path, where all is unpacked.
    assert f"can't be unpacked ({name}" in fail(build_csv, "--archive", "evil.tar")


@pytest.fixture
def official(flat, monkeypatch, tmp_path):
    """The archive to download, on this machine in place of Oxford's."""
    path = pack(flat, tmp_path / "flowers.zip")
    shutil.rmtree(Path(os.environ["KERAS_HOME"], "datasets"), ignore_errors=True)
    monkeypatch.setattr(build_csv, "URL", path.as_uri())
    monkeypatch.setattr(build_csv, "SHA256", sha256(path.read_bytes()).hexdigest())
    return path


def test_without_options_it_downloads_once_or_fails(official, build, fail, monkeypatch):
    assert build() == dict.fromkeys(build_csv.FLOWERS, 4)
    official.unlink()
    assert build() == dict.fromkeys(build_csv.FLOWERS, 4)
    for name, value in (("SHA256", "0" * 64), ("URL", "http://127.0.0.1:9/none.tgz")):
        monkeypatch.setattr(build_csv, name, value)
        assert fail(build_csv).startswith(f"[ERROR] {build_csv.URL}: ")
