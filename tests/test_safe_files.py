"""A file is complete or unchanged; and a user's error is one line."""

import resource
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from pyimagesearch.csv_rows import InputError
from pyimagesearch.options import one_line_errors
from pyimagesearch.safe_files import replacing


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


def run(code, folder, **options):
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_full_disk_leaves_the_old_csvs_and_says_so_in_one_line(tmp_path):
    # A limit on the size of files stands in for a disk that is full after 100 kB.
    code = """if True:
        import numpy as np
        from pyimagesearch.build_csv import write_csvs
        from pyimagesearch.options import one_line_errors
        images = [np.full((64, 64, 3), 200, "uint8")] * 8
        one_line_errors(lambda: write_csvs(images, ["rose", "iris"] * 4, "."))()
    """
    for name in ("flowers17_training.csv", "flowers17_testing.csv"):
        (tmp_path / name).write_text("old")
    limits = (10**5, 10**5)
    result = run(
        code,
        tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
    )
    assert result.returncode == 1
    assert "ing.csv: File too large" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}


def test_ctrl_c_is_one_line_and_death_by_sigint(tmp_path):
    code = """if True:
        import os, signal
        from pyimagesearch.options import one_line_errors
        signal.signal(signal.SIGINT, signal.default_int_handler)
        one_line_errors(lambda: os.kill(os.getpid(), signal.SIGINT))()
    """
    result = run(code, tmp_path)
    assert result.returncode == -signal.SIGINT
    assert result.stderr.split("\n") == ["", "[INFO] stopped", ""]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("x.csv, line 3: odd"), "[ERROR] x.csv, line 3: odd"),
        (OSError(28, "No space left", "x.csv"), "[ERROR] x.csv: No space left"),
        (OSError("odd"), "[ERROR] odd"),
    ],
)
def test_what_a_user_can_cause_is_one_line(error, line):
    @one_line_errors
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == line


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError])
def test_our_own_mistakes_keep_their_traceback(error):
    @one_line_errors
    def main():
        raise error

    with pytest.raises(error):
        main()
