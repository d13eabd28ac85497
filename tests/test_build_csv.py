"""The builder, on images and archives that the tests make, and a server of their own."""

import functools
import hashlib
import http.server
import io
import os
import shutil
import sys
import tarfile
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split

from pyimagesearch import build_csv
from pyimagesearch.check_csv import check_csvs
from pyimagesearch.csv_rows import parse_row

NAMES = ["flowers17_training.csv", "flowers17_testing.csv"]


def save_image(path, colour, size=(80, 60), mode="RGB", **options):
    """Save a picture in one colour, the upper half of it at half the brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.array(colour, "uint8"), (size[1], size[0], 1))
    pixels[: size[1] // 2] //= 2
    image = Image.fromarray(pixels)
    image = image.quantize() if mode == "P" else image.convert(mode)
    image.save(path, **options)
    return path


@pytest.fixture
def classes(tmp_path):
    """A folder of eight roses and eight irises, in formats of all kinds."""
    folder = tmp_path / "images"
    suffixes = ["jpg", "jpeg", "png", "bmp", "gif", "JPG", "webp", "tif"]
    for k, suffix in enumerate(suffixes):
        save_image(folder / "rose" / f"{k}.{suffix}", (200, 10 * k, 40))
        save_image(folder / "iris" / f"{k}.{suffix}", (60, 10 * k, 200))
    return folder


@pytest.fixture
def flat(monkeypatch, tmp_path):
    """A folder in the layout of Flowers-17, cut down to four images per class."""
    numbers = [first + k for first in range(1, 1361, 80) for k in (0, 1, 40, 79)]
    flowers = {f"image_{k:04}.jpg": FLOWERS17[f"image_{k:04}.jpg"] for k in numbers}
    monkeypatch.setattr(build_csv, "FLOWERS17", flowers)
    for k, name in zip(numbers, flowers):
        save_image(tmp_path / "flat" / "jpg" / name, (k % 256, 9, 9))
    (tmp_path / "flat" / "jpg" / "files.txt").write_text("\n".join(flowers))
    return tmp_path / "flat"


FLOWERS17 = build_csv.FLOWERS17


@pytest.fixture
def archive(flat, tmp_path):
    """The same in a .tgz."""
    path = tmp_path / "flowers.tgz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(flat / "jpg", "jpg")
    return path


@pytest.fixture
def build(monkeypatch, tmp_path):
    """A function that runs the builder and returns the rows of its two CSVs."""

    def run(*args, output="out"):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            sys, "argv", ["build_csv", *map(str, args), "--output", output]
        )
        build_csv.main()
        return [
            [parse_row(line, name) for line in (tmp_path / output / name).open("rb")]
            for name in NAMES
        ]

    return run


def test_one_folder_per_class(build, classes):
    training, testing = build("--images", classes)
    assert (len(training), len(testing)) == (12, 4)
    labels = sorted(label for label, _ in training + testing)
    assert labels == ["iris"] * 8 + ["rose"] * 8


def test_a_class_may_be_a_link_to_a_folder(build, classes, tmp_path):
    (classes / "rose").rename(tmp_path / "elsewhere")
    (classes / "rose").symlink_to(tmp_path / "elsewhere")
    labels = [label for rows in build("--images", classes) for label, _ in rows]
    assert labels.count("rose") == 8


def test_images_in_folders_inside_a_class_belong_to_the_class(build, classes):
    save_image(classes / "rose" / "2026" / "album.jpg" / "x.png", (1, 2, 3))
    labels = [label for rows in build("--images", classes) for label, _ in rows]
    assert labels.count("rose") == 9 and set(labels) == {"rose", "iris"}


def test_the_content_of_a_file_decides_not_its_suffix(build, classes):
    (classes / "rose" / "0.jpg").rename(classes / "rose" / "0.jfif")
    (classes / "rose" / "2.png").rename(classes / "rose" / "2.jpg")
    (classes / "rose" / "3.bmp").rename(classes / "rose" / "3")
    (classes / "rose" / "1.jpeg").rename(classes / "rose" / "1.dat")
    labels = [label for rows in build("--images", classes) for label, _ in rows]
    assert labels.count("rose") == 8


def test_litter_is_left_out_and_counted(build, classes, capsys):
    Path(os.fsdecode(bytes(classes) + b"/rose/not\xe9s.txt")).write_text("no image")
    (classes / "rose" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (classes / "rose" / "empty").write_bytes(b"")
    (classes / "rose" / "zzz.txt").write_text("P3 photographs, taken in May")
    (classes / "rose" / "._0.jpg").write_bytes(b"\0\5\x16\7" + bytes(99))
    (classes / ".cache").mkdir()
    save_image(classes / ".cache" / "x.png", (1, 2, 3))
    (classes / "iris" / "gone.jpg").symlink_to("nowhere.jpg")
    (classes / "iris" / "all").symlink_to(classes)
    save_image(classes / "cover.png", (1, 2, 3))
    assert sum(map(len, build("--images", classes))) == 16
    output = capsys.readouterr().out
    assert "left out: 2 hidden ('.cache/x.png', 'rose/._0.jpg')" in output
    assert "left out: 2 not regular files ('iris/all', 'iris/gone.jpg')" in output
    assert "left out: 4 not images that Pillow can open ('rose/Thumbs.db', " in output
    assert "left out: 1 images outside the class folders ('cover.png')" in output


def test_the_summary_counts_the_rows_of_each_class(build, classes, capsys):
    training, testing = build("--images", classes)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for label in ("iris", "rose"):
        counts = [
            str(sum(name == label for name, _ in rows)) for rows in (training, testing)
        ]
        assert [label, *counts] in lines
    assert ["all", "12", "4"] in lines


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("P", "gif"), ("RGBA", "png"), ("CMYK", "tif")]
)
def test_pixels_are_rgb_64_by_64_and_bilinear(tmp_path, mode, suffix):
    path = save_image(tmp_path / f"0.{suffix}", (60, 70, 200), mode=mode)
    image = build_csv.load_image(path)
    assert image.shape == (64, 64, 3) and image.dtype == "uint8"
    # 80 x 60 pixels, the upper half dark: wider and shorter than 64 x 64.
    np.testing.assert_array_equal(image[0], [[30, 35, 100]] * 64)
    np.testing.assert_array_equal(image[-1], [[60, 70, 200]] * 64)
    assert 100 <= image[31, 0, 2] <= image[32, 0, 2] <= 200


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(3, Image.ROTATE_180), (6, Image.ROTATE_90), (8, Image.ROTATE_270)],
)
def test_a_photograph_is_turned_upright(tmp_path, suffix, orientation, turned):
    upright = np.zeros((64, 64, 3), "uint8")
    upright[:16] = 200  # a bright sky
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"phone.{suffix}"
    Image.fromarray(upright).transpose(turned).save(path, exif=exif)
    difference = np.abs(build_csv.load_image(path).astype(int) - upright)
    assert difference.max() <= 4  # JPEG is lossy


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_to_8(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64).round().astype("uint16")
    Image.fromarray(np.tile(ramp, (64, 1))).save(tmp_path / f"ramp.{suffix}")
    image = build_csv.load_image(tmp_path / f"ramp.{suffix}")
    wanted = np.round(ramp / 257).astype("uint8")
    np.testing.assert_array_equal(image, np.tile(wanted[:, None], (64, 1, 3)))


def test_transparency_becomes_white(tmp_path):
    pixels = np.zeros((64, 64, 4), "uint8")
    pixels[:, 32:] = (0, 90, 0, 255)
    picture = Image.fromarray(pixels)  # its left half is black, but transparent
    folder = tmp_path / "transparent"
    folder.mkdir()
    picture.save(folder / "rgba.png")
    picture.convert("LA").save(folder / "la.png")
    picture.quantize().save(folder / "palette.png")
    picture.save(folder / "rgba.webp", lossless=True)
    picture.convert("RGB").save(folder / "colour.png", transparency=(0, 0, 0))
    for path in folder.iterdir():
        image = build_csv.load_image(path)
        assert (image[:, :32] == 255).all(), path
        assert (image[:, 32:, 0] < 100).all(), path


@pytest.mark.parametrize("source", ["--images", "--archive"])
def test_the_layout_of_flowers17(build, flat, archive, source):
    training, testing = build(source, {"--images": flat, "--archive": archive}[source])
    labels = [label for label, _ in training + testing]
    assert sorted(labels) == sorted(build_csv.FLOWERS * 4)


def test_the_folder_of_the_images_themselves_will_do(build, flat):
    assert sum(map(len, build("--images", flat / "jpg"))) == 68


def test_the_number_of_an_image_tells_its_class():
    assert len(FLOWERS17) == 1360
    assert FLOWERS17["image_0001.jpg"] == FLOWERS17["image_0080.jpg"] == "daffodil"
    assert FLOWERS17["image_0081.jpg"] == "snowdrop"
    assert FLOWERS17["image_1281.jpg"] == FLOWERS17["image_1360.jpg"] == "pansy"


def pack(folder, path, top=""):
    """Pack a folder's content into an archive, below the folder `top`."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for file in sorted(folder.rglob("*")):
                zipped.write(file, Path(top, file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:" + path.suffix[1:].replace("tar", "")) as tar:
            tar.add(folder, top)
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("top", [".", "flower_photos", "a/b"])
def test_archives_with_any_number_of_folders_on_top(
    build, classes, tmp_path, suffix, top
):
    (classes / "LICENSE.txt").write_text("yours")
    (classes / "__MACOSX" / "rose").mkdir(parents=True)
    (classes / "__MACOSX" / "rose" / "._0.jpg").write_bytes(bytes(99))
    path = pack(classes, tmp_path / f"photos{suffix}", top)
    assert build("--archive", path, output="one") == Rows(build("--images", classes))


class Rows(list):
    """The rows of two CSVs, which can be compared."""

    def __eq__(self, other):
        return [[(a, b.tobytes()) for a, b in rows] for rows in self] == [
            [(a, b.tobytes()) for a, b in rows] for rows in other
        ]


def test_the_same_images_and_seed_give_the_same_bytes(build, classes, tmp_path):
    build("--images", classes, output="one")
    build("--images", classes, output="two")
    build("--images", classes, "--seed", "7", output="other")
    one, two, other = (
        [(tmp_path / folder / name).read_bytes() for name in NAMES]
        for folder in ("one", "two", "other")
    )
    assert one == two != other


def test_the_share_of_the_test_file(build, classes):
    training, testing = build("--images", classes, "--test-size", "0.5")
    assert len(training) == len(testing) == 8


def test_what_it_writes_passes_the_check_of_train(build, classes, tmp_path):
    build("--images", classes)
    check_csvs(*(tmp_path / "out" / name for name in NAMES))


def test_a_progress_bar_counts_the_images(build, classes, capsys):
    build("--images", classes)
    assert "16/16" in capsys.readouterr().out


@pytest.fixture
def old_csvs(tmp_path):
    """Existing CSVs, which every failure must leave alone."""
    for name in NAMES:
        (tmp_path / name).write_text("old")


pytestmark = pytest.mark.usefixtures("old_csvs")


def test_all_images_that_cannot_be_read_are_named_at_once(fail, classes):
    path = save_image(classes / "rose" / "half.jpg", (1, 2, 3), (300, 300))
    path.write_bytes(path.read_bytes()[:900])
    (classes / "rose" / "zero.png").write_bytes(b"")
    (classes / "iris" / "text.jpg").write_text("no image")
    (classes / "iris" / "head.png").write_bytes(b"\x89PNG\r\n\x1a\n1234567890")
    message = fail(build_csv, "--images", classes)
    for name in ("rose/half.jpg", "rose/zero.png", "iris/text.jpg", "iris/head.png"):
        assert name in message


def test_very_large_pictures_are_not_called_damaged(fail, classes, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # 80 x 60 is 4800
    message = fail(build_csv, "--images", classes)
    assert "4800 pixels" in message and "shrink" in message


def test_large_pictures_are_read_without_a_warning(build, classes, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(map(len, build("--images", classes))) == 16


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_more_than_16_bits_are_refused(fail, classes, dtype):
    pixels = np.full((64, 64), 200, dtype)
    Image.fromarray(pixels).save(classes / "rose" / "deep.tif")
    message = fail(build_csv, "--images", classes)
    assert "'rose/deep.tif' (more than 16 bits" in message


def test_an_unreadable_image_in_an_archive_is_named(fail, flat, tmp_path):
    (flat / "jpg" / "image_0080.jpg").write_bytes(b"no image")
    with tarfile.open(tmp_path / "odd.tar", "w") as tar:
        tar.add(flat / "jpg", "jpg")
    message = fail(build_csv, "--archive", "odd.tar")
    assert "odd.tar" in message and "jpg/image_0080.jpg" in message


def test_only_some_of_flowers17_are_refused(fail, flat):
    (flat / "jpg" / "image_0080.jpg").unlink()
    assert "not exactly its 1,360 images" in fail(build_csv, "--images", flat)


def test_flowers17_beside_class_folders_is_refused(fail, classes):
    save_image(classes / "image_0001.jpg", (1, 2, 3))
    message = fail(build_csv, "--images", classes)
    assert "image_0001.jpg looks like Flowers-17's" in message


def test_flowers17_with_one_image_elsewhere_is_refused(fail, flat):
    (flat / "rose").mkdir()
    (flat / "jpg" / "image_1360.jpg").rename(flat / "rose" / "image_1360.jpg")
    assert "not exactly its 1,360 images" in fail(build_csv, "--images", flat)


def test_a_class_for_the_testing_file_alone_is_refused(fail, classes):
    save_image(classes / "lily" / "only.png", (1, 2, 3))
    labels = ["iris"] * 8 + ["lily"] + ["rose"] * 8
    seed = next(
        seed
        for seed in range(100)
        if "lily" in train_test_split(labels, test_size=0.25, random_state=seed)[1]
    )
    message = fail(build_csv, "--images", classes, "--seed", seed)
    assert "no lily to train on" in message and "--seed" in message


def test_a_split_that_leaves_nothing_to_train_on(fail, tmp_path):
    for label in ("iris", "rose"):
        save_image(tmp_path / "two" / label / "0.png", (1, 2, 3))
    assert "train set will be empty" in fail(
        build_csv, "--images", "two", "--test-size", "0.9"
    )


@pytest.mark.parametrize("name", ["a,b", "a\nb", "a\rb", " a"])
def test_a_class_name_that_no_csv_can_hold(fail, classes, name):
    (classes / "rose").rename(classes / name)
    assert repr(name) in fail(build_csv, "--images", classes)


def test_a_class_name_that_is_not_text(fail, classes):
    os.rename(bytes(classes / "rose"), bytes(classes) + b"/ros\xe9")
    assert "ros" in fail(build_csv, "--images", classes)


def test_a_single_class(fail, classes):
    shutil.rmtree(classes / "rose")
    assert f"{classes}: " in fail(build_csv, "--images", classes)


def test_an_empty_folder_and_no_folder(fail, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty: 0 folders of images" in fail(build_csv, "--images", "empty")
    assert "nowhere: " in fail(build_csv, "--images", "nowhere")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_archive(fail, classes, tmp_path, suffix, share):
    path = pack(classes, tmp_path / f"photos{suffix}")
    text = path.read_bytes()
    path.write_bytes(text[: int(share * len(text))])
    assert f"{path}: can't be unpacked" in fail(build_csv, "--archive", path)


def test_a_tar_that_is_truncated_between_two_files(fail, classes, tmp_path):
    path = pack(classes, tmp_path / "photos.tar")
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[9].offset
    path.write_bytes(path.read_bytes()[:offset])
    assert "truncated" in fail(build_csv, "--archive", path)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_damaged_archive(fail, classes, tmp_path, suffix):
    path = pack(classes, tmp_path / f"photos{suffix}")
    text = bytearray(path.read_bytes())
    text[len(text) // 2 - 50 : len(text) // 2 + 50] = bytes(100)
    path.write_bytes(text)
    assert f"{path}: can't be unpacked" in fail(build_csv, "--archive", path)


def test_a_missing_archive(fail):
    assert "none.tgz: " in fail(build_csv, "--archive", "none.tgz")


@pytest.mark.parametrize("name", ["../escaped.jpg", "/tmp/pyimagesearch_escaped.jpg"])
def test_an_archive_writes_nowhere_else(fail, tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    assert "evil.tar" in fail(build_csv, "--archive", "evil.tar")
    assert not Path("/tmp/pyimagesearch_escaped.jpg").exists()
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_one_flipped_bit_in_a_compressed_archive(fail, classes, tmp_path, place):
    for path in [*classes.glob("*/*.png"), *classes.glob("*/*.tif")]:
        path.unlink()  # so that most of it can't be compressed, as with photographs
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), "uint8")
    Image.fromarray(noise).save(classes / "rose" / "noise.jpg")
    path = pack(classes, tmp_path / "photos.tar.gz")
    text = bytearray(path.read_bytes())
    text[int(place * len(text))] ^= 16
    path.write_bytes(text)
    assert f"{path}: can't be unpacked" in fail(build_csv, "--archive", path)


def test_a_tar_with_zeros_in_the_middle(fail, classes, tmp_path):
    path = pack(classes, tmp_path / "photos.tar")
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[9].offset
    text = bytearray(path.read_bytes())
    text[offset : offset + 512] = bytes(512)
    path.write_bytes(text)
    assert "truncated or damaged" in fail(build_csv, "--archive", path)


def test_a_tar_that_ends_in_a_zip_is_a_tar(build, classes, tmp_path):
    pack(classes / "iris", classes / "zzz.zip", "old")
    rows = build("--archive", pack(classes, tmp_path / "photos.tar"))
    assert {label for part in rows for label, _ in part} == {"iris", "rose"}


def test_an_empty_name_does_not_mean_the_download(fail, monkeypatch):
    monkeypatch.delattr(build_csv, "download")
    assert "can't be unpacked" in fail(build_csv, "--archive", "")
    fail(build_csv, "--images", "")


def test_a_folder_that_cannot_be_listed(fail, classes):
    if os.geteuid() == 0:
        pytest.skip("root may list everything")
    (classes / "rose").chmod(0)
    assert f"{classes / 'rose'}: Permission denied" in fail(
        build_csv, "--images", classes
    )


def test_labels_that_the_terminal_cannot_show(build, classes, monkeypatch):
    (classes / "rose").rename(classes / "雏菊")
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert sum(map(len, build("--images", classes))) == 16
    stdout.flush()
    assert rb"\u96cf\u83ca" in stdout.buffer.getvalue()


def test_a_link_out_of_an_archive_is_refused(fail, tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo("rose/link")
        member.type, member.linkname = tarfile.SYMTYPE, "../../outside"
        tar.addfile(member)
    assert "evil.tar" in fail(build_csv, "--archive", "evil.tar")


def test_a_zip_writes_nowhere_else(fail, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as zipped:
        zipped.writestr("../../escaped.jpg", "evil")
        zipped.writestr("/tmp/pyimagesearch_escaped.jpg", "evil")
    assert "evil.zip" in fail(build_csv, "--archive", "evil.zip")
    assert not Path("/tmp/pyimagesearch_escaped.jpg").exists()
    assert not list(tmp_path.parent.parent.glob("**/*escaped*"))


@pytest.mark.parametrize("value", ["0", "1", "-0.5", "half", "nan"])
def test_a_test_size_that_is_not_a_fraction(fail, classes, value):
    assert repr(value) in fail(build_csv, "--images", classes, "--test-size", value)


def test_a_file_in_place_of_the_output_folder(fail, classes):
    message = fail(build_csv, "--images", classes, "--output", NAMES[0])
    assert f"{NAMES[0]}: Not a directory" in message


@pytest.fixture
def server(archive, monkeypatch, tmp_path):
    """Serves the archive on 127.0.0.1 in place of Oxford; counts the requests."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    web = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path)
    )
    threading.Thread(target=web.serve_forever, daemon=True).start()
    shutil.rmtree(Path(os.environ["KERAS_HOME"]) / "datasets", ignore_errors=True)
    monkeypatch.setattr(
        build_csv, "URL", f"http://127.0.0.1:{web.server_port}/flowers.tgz"
    )
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(build_csv, "SHA256", digest)
    yield requests
    web.shutdown()
    web.server_close()


def test_without_options_it_downloads_once(server, build):
    assert sum(map(len, build())) == 68
    assert sum(map(len, build())) == 68
    assert server == ["/flowers.tgz"]


def test_a_wrong_checksum(server, fail, monkeypatch):
    monkeypatch.setattr(build_csv, "SHA256", "0" * 64)
    assert build_csv.URL in fail(build_csv)


def test_a_server_that_does_not_have_it(server, fail, monkeypatch):
    monkeypatch.setattr(build_csv, "URL", build_csv.URL + ".no")
    assert "404" in fail(build_csv)


def test_a_server_that_does_not_answer(fail, monkeypatch):
    monkeypatch.setattr(build_csv, "URL", "http://127.0.0.1:9/none.tgz")
    assert "127.0.0.1:9" in fail(build_csv)


def test_the_checksum_is_that_of_the_official_archive():
    assert build_csv.SHA256.startswith("fe38a60f") and len(build_csv.SHA256) == 64
    assert build_csv.URL.endswith("/17flowers.tgz")
