"""A file is there whole, or as it was."""

import resource
import subprocess
import sys

import pytest
from conftest import ROOT

from pyimagesearch.safe_files import one_line_errors, replacing


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "plot.png"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "plot.png"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as part:
        part.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_full_disk_leaves_the_old_csvs_and_says_so_in_one_line(tmp_path):
    # A limit on the size of files stands in for a disk that is full after 100 kB.
    code = """if True:
        import numpy as np
        from pyimagesearch.csv_rows import write_csvs
        from pyimagesearch.safe_files import one_line_errors
        images = [np.full((64, 64, 3), 200, "uint8")] * 8
        with one_line_errors():
            write_csvs(images, ["rose", "iris"] * 4, ".")
    """
    for name in ("flowers17_training.csv", "flowers17_testing.csv"):
        (tmp_path / name).write_text("old")
    result = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, 10**5)),
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "ing.csv: File too large" in line
    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}


def test_ctrl_c_is_a_line_and_no_traceback():
    with pytest.raises(SystemExit, match="stopped before"), one_line_errors():
        raise KeyboardInterrupt


def test_our_own_mistakes_stay_loud():
    with pytest.raises(KeyError), one_line_errors():
        {}["no"]
