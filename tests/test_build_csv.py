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
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyimagesearch import build_csv
from pyimagesearch.check_csv import check_csvs
from pyimagesearch.csv_rows import parse_row

NAMES = ["flowers17_training.csv", "flowers17_testing.csv"]


def save_image(path, colour, size=(80, 60), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.array(colour, "uint8"), (size[1], size[0], 1))
    pixels[: size[1] // 2] //= 2
    image = Image.fromarray(pixels)
    (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    return path


@pytest.fixture
def classes(tmp_path):
    """A folder of eight roses and eight irises, in formats of all kinds."""
    folder = tmp_path / "images"
    suffixes = ["jpg", "jpeg", "png", "bmp", "gif", "JPG", "PNG", "jpg"]
    for k, suffix in enumerate(suffixes):
        save_image(folder / "rose" / f"{k}.{suffix}", (200, 10 * k, 40))
        save_image(folder / "iris" / f"{k}.{suffix}", (60, 10 * k, 200))
    (folder / "rose" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def flat(tmp_path):
    """A folder in the layout of Flowers-17, with the first and last of each class."""
    for first in range(1, 1361, 80):
        for number in (first, first + 79):
            save_image(
                tmp_path / f"flat/jpg/image_{number:04}.jpg", (first % 256, 9, 9)
            )
    return tmp_path / "flat"


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


def test_one_folder_a_class(build, classes):
    training, testing = build("--images", classes)
    assert (len(training), len(testing)) == (12, 4)
    labels = sorted(label for label, _ in training + testing)
    assert labels == ["iris"] * 8 + ["rose"] * 8


def test_pixels_are_rgb_64_by_64_and_bilinear(build, classes):
    shutil.rmtree(classes / "iris")
    save_image(classes / "iris" / "0.png", (60, 70, 200), mode="P")
    save_image(classes / "iris" / "1.png", (60, 70, 200), mode="RGBA")
    training, testing = build("--images", classes)
    for label, image in training + testing:
        if label == "iris":
            # 80 x 60 pixels, the upper half dark: wider and lower than 64 x 64.
            np.testing.assert_array_equal(image[0], [[30, 35, 100]] * 64)
            np.testing.assert_array_equal(image[-1], [[60, 70, 200]] * 64)
            assert 100 <= image[31, 0, 2] <= image[32, 0, 2] <= 200


@pytest.mark.parametrize("source", ["--images", "--archive"])
def test_the_layout_of_flowers17(build, flat, archive, source):
    training, testing = build(source, {"--images": flat, "--archive": archive}[source])
    labels = [label for label, _ in training + testing]
    assert sorted(labels) == sorted(build_csv.FLOWERS * 2)


def test_the_folder_of_the_images_themselves_will_do(build, flat):
    assert sum(map(len, build("--images", flat / "jpg"))) == 34


def test_the_number_of_an_image_tells_its_class(flat):
    paths, labels = build_csv.find_images(flat)
    by_name = {path.name: label for path, label in zip(paths, labels)}
    assert by_name["image_0001.jpg"] == by_name["image_0080.jpg"] == "daffodil"
    assert by_name["image_0081.jpg"] == "snowdrop"
    assert by_name["image_1281.jpg"] == by_name["image_1360.jpg"] == "pansy"


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
    """CSVs that are there already, and that every failure is to leave alone."""
    for name in NAMES:
        (tmp_path / name).write_text("old")


pytestmark = pytest.mark.usefixtures("old_csvs")


def test_a_truncated_image_is_named(fail, classes):
    path = save_image(classes / "rose" / "half.jpg", (1, 2, 3), (300, 300))
    path.write_bytes(path.read_bytes()[:900])
    assert f"{path}: " in fail(build_csv, "--images", classes)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n1234567890"])
def test_a_file_that_is_no_image_is_named(fail, classes, content):
    path = classes / "iris" / "odd.png"
    path.write_bytes(content)
    assert f"{path}: " in fail(build_csv, "--images", classes)


def test_an_unreadable_image_in_an_archive_is_named(fail, flat, tmp_path):
    (flat / "jpg" / "image_0080.jpg").write_bytes(b"no image")
    with tarfile.open(tmp_path / "odd.tar", "w") as tar:
        tar.add(flat / "jpg", "jpg")
    message = fail(build_csv, "--archive", "odd.tar")
    assert "odd.tar" in message and "jpg/image_0080.jpg" in message


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
    assert "empty: " in fail(build_csv, "--images", "empty")
    assert "nowhere: " in fail(build_csv, "--images", "nowhere")


def test_a_number_that_flowers17_does_not_have(fail, flat):
    save_image(flat / "jpg" / "image_1361.jpg", (1, 2, 3))
    assert "image_1361.jpg" in fail(build_csv, "--images", flat)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_cut_archive(fail, archive, share):
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    assert f"{archive}: " in fail(build_csv, "--archive", archive)


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


@pytest.mark.parametrize("value", ["0", "1", "-0.5", "half", "nan"])
def test_a_share_that_is_none(fail, classes, value):
    assert repr(value) in fail(build_csv, "--images", classes, "--test-size", value)


def test_a_file_in_place_of_the_output_folder(fail, classes):
    message = fail(build_csv, "--images", classes, "--output", NAMES[0])
    assert f"{NAMES[0]}: is a file" in message


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
    assert sum(map(len, build())) == 34
    assert sum(map(len, build())) == 34
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
