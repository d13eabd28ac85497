"""A file is complete or unchanged; and a user's error is one line."""

import io
import signal
import sys
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import start_python
from tensorflow import keras

from pyimagesearch.csv_rows import InputError
from pyimagesearch.datasets.build_csv import write_csvs
from pyimagesearch.options import one_line_errors
from pyimagesearch.safe_files import replacing, save_model


@pytest.fixture
def plot(tmp_path):
    """The path of an old file."""
    (tmp_path / "plot.png").write_text("old")
    return tmp_path / "plot.png"


def test_the_new_file_takes_the_place_of_the_old_and_a_link_stays_a_link(plot):
    link = plot.parent / "link"
    link.symlink_to(plot)
    with replacing(link) as part:
        part.write_text("new")
        assert plot.read_text() == "old"
    assert link.is_symlink() and plot.read_text() == "new"
    assert sorted(plot.parent.iterdir()) == [link, plot]


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(plot, error):
    with pytest.raises(error), replacing(plot) as part:
        part.write_text("ne")
        raise error
    assert plot.read_text() == "old"
    assert list(plot.parent.iterdir()) == [plot]


def test_an_error_while_writing_names_the_file_and_another_keeps_its_name(plot):
    with pytest.raises(FileNotFoundError) as error, replacing(plot) as part:
        part.read_text()
    assert error.value.filename == str(plot)
    elsewhere = plot.parent / "elsewhere" / "x"
    with pytest.raises(FileNotFoundError) as error, replacing(plot):
        elsewhere.read_text()
    assert error.value.filename == str(elsewhere)
    with pytest.raises(OSError, match="odd"), replacing(plot):
        raise OSError("odd")
    with pytest.raises(IsADirectoryError) as error, replacing(plot.parent):
        pytest.fail("the block ran")
    assert error.value.filename == str(plot.parent)


def test_a_model_is_saved_with_the_names_of_its_classes(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    save_model(model, np.array(["iris", "雏菊", "rose"]), tmp_path / "my.v2.keras")
    saved = keras.models.load_model(tmp_path / "my.v2.keras")
    np.testing.assert_array_equal(saved.get_weights()[0], model.get_weights()[0])
    names = (tmp_path / "my.v2.classes.txt").read_bytes()
    assert names == "iris\n雏菊\nrose\n".encode()


def test_if_the_class_names_alone_cannot_be_replaced_the_error_says_so(tmp_path):
    def save(part):
        part.write_text("new")
        (tmp_path / "x.classes.txt").mkdir()  # a folder takes that file's place

    with pytest.raises(OSError, match="x.keras is new already, .*: '.*x.classes.txt'"):
        save_model(Mock(save=save), ["iris"], tmp_path / "x.keras")
    assert (tmp_path / "x.keras").read_text() == "new"


def test_a_full_disk_leaves_the_old_csvs_and_says_so_in_one_line(tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    for name in ("flowers17_training.csv", "flowers17_testing.csv"):
        (tmp_path / name).write_text("old")
    image, pairs = np.full((64, 64, 3), 200, "uint8"), [(1, "rose"), (2, "iris")] * 4
    # A limit on the size of files stands in for a disk that is full after 100 kB.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, hard))
    try:
        with pytest.raises(SystemExit, match="ing.csv: File too large$"):
            one_line_errors(lambda: write_csvs(pairs, lambda k: image, tmp_path))()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old", "old"]


@pytest.mark.skipif(sys.platform == "win32", reason="no death by a signal there")
def test_ctrl_c_is_one_line_and_death_by_sigint(tmp_path):
    code = """if True:
        import os, signal
        from pyimagesearch.options import one_line_errors
        signal.signal(signal.SIGINT, signal.default_int_handler)
        one_line_errors(lambda: os.kill(os.getpid(), signal.SIGINT))()
    """
    process = start_python(tmp_path, "-c", code)
    assert process.communicate()[1].endswith("\n[INFO] stopped\n")
    assert process.returncode == -signal.SIGINT


def test_what_a_user_can_cause_is_one_line():
    for error, line in (
        (InputError("x.csv, line 3: odd\nindeed"), "x.csv, line 3: odd indeed"),
        (OSError(28, "No space left", "x.csv"), "x.csv: No space left"),
        (OSError("odd"), "odd"),
    ):
        with pytest.raises(SystemExit) as stop:
            one_line_errors(Mock(side_effect=error))()
        assert stop.value.code == f"[ERROR] {line}"
    with pytest.raises(ValueError):  # our own mistakes keep their traceback
        one_line_errors(Mock(side_effect=ValueError))()


def test_any_label_can_be_printed_to_any_standard_output(monkeypatch):
    for stdout in (io.TextIOWrapper(io.BytesIO(), "ascii"), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stdout)
        one_line_errors(lambda: print("雏菊"))()
