"""A file is complete or unchanged, and a user's error or Ctrl-C is one line."""

import signal
from unittest.mock import Mock

import pytest
from conftest import needs_unix, start_python

from pyimagesearch.safe_files import replacing, save_model


def test_the_new_file_takes_the_place_of_the_old_and_a_link_stays_a_link(tmp_path):
    plot, link = tmp_path / "plot.png", tmp_path / "link"
    plot.write_text("old")
    link.symlink_to(plot)
    with replacing(link) as part:
        part.write_text("new")
        assert part.parent.parent == tmp_path  # on the same disk
        assert plot.read_text() == "old"
    assert link.is_symlink() and plot.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [link, plot]


def test_a_failure_leaves_the_old_file_and_an_error_names_it_or_its_own(tmp_path):
    plot, elsewhere = tmp_path / "plot.png", tmp_path / "elsewhere" / "x"
    plot.write_text("old")
    for path, fail, message in (
        (plot, lambda part: part.mkdir(), f"] File exists: '{plot}'"),
        (plot, Mock(side_effect=OSError(28, "")), f"] No space left .*: '{plot}'"),
        (plot, lambda part: elsewhere.read_text(), f"] No such file .*: '{elsewhere}'"),
        (plot, Mock(side_effect=OSError("odd")), "odd"),
        (plot, Mock(side_effect=KeyboardInterrupt("odd")), "^odd$"),
        (tmp_path, lambda part: pytest.fail("runs"), f"Is a directory: '{tmp_path}'"),
    ):
        with pytest.raises(BaseException, match=message), replacing(path) as part:
            part.write_text("ne")
            fail(part)
        assert plot.read_text() == "old"
        assert list(tmp_path.iterdir()) == [plot]


def test_a_model_is_saved_with_the_names_of_its_classes(tmp_path):
    model = Mock(save=lambda part: part.write_text("model"))
    save_model(model, ["iris", "雏菊", "rose"], tmp_path / "my.v2.keras")
    assert (tmp_path / "my.v2.keras").read_text() == "model"
    names = (tmp_path / "my.v2.classes.txt").read_bytes().decode()
    assert names == "iris\n雏菊\nrose\n"


def test_if_the_class_names_alone_cannot_be_replaced_the_error_says_so(tmp_path):
    path, names = tmp_path / "x.keras", tmp_path / "x.classes.txt"
    model = Mock(save=lambda part: part.write_text("new") and names.mkdir())
    message = f"Is a directory, but {path} is new already, .*: '{names}'"
    with pytest.raises(OSError, match=message):
        save_model(model, ["iris"], path)
    assert path.read_text() == "new"


@needs_unix
def test_ctrl_c_is_one_line_and_death_by_sigint(tmp_path):
    code = """if True:
        import signal
        from pyimagesearch.options import one_line_errors
        one_line_errors(lambda: signal.default_int_handler(2, None))()
    """
    process = start_python(tmp_path, "-c", code)
    assert process.communicate() == ("", "\n[INFO] stopped\n")
    assert process.returncode == -signal.SIGINT
