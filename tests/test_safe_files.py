"""A file is complete or unchanged, and a user's error or Ctrl-C is one line."""

import errno
import os
import signal
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import needs_unix, start_python
from tensorflow import keras

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
    elsewhere = plot.parent / "elsewhere" / "x"
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space"))  # without a name
    for path, named, fail in (
        (plot, plot, lambda part: part.read_text()),
        (plot, plot, full),
        (plot, elsewhere, lambda part: elsewhere.read_text()),
        (plot.parent, plot.parent, lambda part: pytest.fail("the block ran")),
    ):
        with pytest.raises(OSError) as error, replacing(path) as part:
            fail(part)
        assert error.value.filename == str(named)
        assert error.value.strerror == os.strerror(error.value.errno)
    with pytest.raises(OSError, match="odd"), replacing(plot):
        raise OSError("odd")


def test_a_model_is_saved_with_the_names_of_its_classes(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    save_model(model, np.array(["iris", "雏菊", "rose"]), tmp_path / "my.v2.keras")
    saved = keras.models.load_model(tmp_path / "my.v2.keras")
    np.testing.assert_array_equal(saved.layers[0].kernel, model.layers[0].kernel)
    names = (tmp_path / "my.v2.classes.txt").read_bytes().decode()
    assert names == "iris\n雏菊\nrose\n"


def test_if_the_class_names_alone_cannot_be_replaced_the_error_says_so(tmp_path):
    def save(part):
        part.write_text("new")
        (tmp_path / "x.classes.txt").mkdir()  # a folder takes that file's place

    with pytest.raises(OSError, match="x.keras is new already, .*: '.*x.classes.txt'"):
        save_model(Mock(save=save), ["iris"], tmp_path / "x.keras")
    assert (tmp_path / "x.keras").read_text() == "new"


@needs_unix
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
