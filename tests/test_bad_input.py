"""Users' mistakes give one line of error, before the first epoch, and cost no file."""

import io
import os
import re
import sys
from unittest.mock import patch

import pytest
import tensorflow as tf

import train
from pyimagesearch.csv_rows import InputError
from pyimagesearch.options import Attempt, one_line_errors, parse_args, users_error


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    monkeypatch.delattr(train, "MiniVGGNet")


@pytest.mark.parametrize(("which", "line"), [(0, 41), (1, 22)])
def test_a_bad_row_in_either_file(fail, pair, which, line):
    with open(pair[which], "a") as csv_file:
        csv_file.write("rose,1,2\n")
    message = fail(train, "-t", pair[0], "-v", pair[1])
    assert f"[ERROR] {pair[which]}, line {line} ('rose,1,2'): 2 values" in message


def test_a_missing_file_is_named_with_the_folder_it_isnt_in(fail, pair, tmp_path):
    assert fail(train).endswith(f"flowers17_training.csv: no such file in {tmp_path}")
    message = fail(train, "-t", pair[0], "-v", "no/test.csv")
    assert message == f"[ERROR] no/test.csv: no such file in {tmp_path / 'no'}"
    assert f"{tmp_path}: a folder" in fail(train, "-t", tmp_path, "-v", pair[1])


def test_no_rows_a_single_class_and_a_class_that_training_lacks(fail, write_csv):
    none, one = write_csv("none.csv", []), write_csv("one.csv", ["rose"] * 3)
    none.write_text("\n \r\n\n")
    assert f"{none}: no rows" in fail(train, "-t", none, "-v", one)
    message = f"{one}: every row has the label 'rose'; training needs two"
    assert message in fail(train, "-t", one, "-v", one)
    two = write_csv("two.csv", ["rose", "iris"])
    message = fail(train, "-t", two, "-v", write_csv("new.csv", ["rose", "orchid"]))
    missing = "): the training file has no rows of 'orchid'; add some or remove this"
    assert "new.csv, line 2 (" in message and missing in message


@pytest.mark.parametrize(("option", "least"), [("-e", 1), ("-b", 2), ("--seed", 0)])
def test_numbers_have_bounds(fail, option, least):
    for value in (str(least - 1), "many", "1.5", "", str(2**32)):
        message = f"{value!r} is not a whole number from {least} to {2**32 - 1}"
        assert message in fail(train, option, value)


OUTPUTS = [("-p", "x.png"), ("-m", "x.keras"), ("--backup", "x.weights.h5")]


@pytest.mark.parametrize(("option", "name"), OUTPUTS)
def test_a_name_that_no_output_can_have(fail, tmp_path, option, name):
    assert f"no/{name}: No such file" in fail(train, option, f"no/{name}")
    (tmp_path / name).mkdir()
    assert f"{name}: is a folder" in fail(train, option, name)
    if os.path.exists("/proc/self"):  # where nobody may write, not even root
        assert f"/proc/{name}: " in fail(train, option, f"/proc/{name}")
    for wrong in ("x", "x.txt", "x.pgf", "x.h5", name[1:], "X.KERAS", "X.WEIGHTS.H5"):
        message = f"{wrong}: must be a name that ends in .{name[2:]}"
        assert message in fail(train, option, wrong)
    (tmp_path / "y.classes.txt").mkdir()  # beside y.keras
    assert "y.classes.txt: is a folder" in fail(train, "-m", "y.keras")


DEFAULTS = "flowers17_training.csv flowers17_testing.csv 75 32 plot.png None None None"


def parse(options):
    constants = train.TRAIN_CSV, train.TEST_CSV, train.NUM_EPOCHS, train.BS
    with patch.object(sys, "argv", ["train.py", *options.split()]):
        return [*map(str, vars(parse_args(*constants)).values())]


def test_options_have_the_tutorials_defaults(call_main, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert parse("") == DEFAULTS.split()
    for rest in ("C.PDF -m d.keras --backup e.weights.h5 --seed 0", "c.svg"):
        given = f"-t a.csv -v b.csv -e 1 -b 2 -p {rest}"
        assert parse(given)[: len(given.split()) // 2] == given.split()[1::2]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit):
        call_main(train, "--help")
    output = " ".join(capsys.readouterr().out.split())
    assert output.startswith("usage: train.py [-h]")
    assert re.findall(r"\(default: (.*?)\)", output) == DEFAULTS.split()


def test_users_errors_are_found_in_what_tensorflow_says_of_a_generator():
    place = "Detected at node PyFunc\n"
    for line, text in (
        ("InputError: x.csv, line 3 ('ä…'): odd", "x.csv, line 3 ('ä…'): odd"),
        ("FileNotFoundError: [Errno 2] No such file: 'x.csv'", "No such file: 'x.csv'"),
        ("TypeError: a mistake of ours", None),
        ("OSError: a library's", None),
    ):
        error = tf.errors.UnknownError(None, None, f"{place}{line}\nTraceback (most")
        assert users_error(error) == text
    assert users_error(ValueError("InputError: no")) is None


def test_each_block_of_an_attempt_runs_and_the_first_error_is_raised(capsys):
    attempt, ran = Attempt(), []
    for error in (
        None,
        InputError("one"),
        OSError(2, "two", "x.png"),
        KeyError("three"),
    ):
        with attempt:
            ran.append(error)
            if error:
                raise error
    assert len(ran) == 4 and len(attempt.errors) == 3
    with pytest.raises(InputError, match="one"):
        attempt.finish()
    warnings = "[WARNING] x.png: two\n[WARNING] KeyError('three')\n"
    assert capsys.readouterr() == ("", warnings)
    Attempt().finish()
    with pytest.raises(KeyboardInterrupt), Attempt():
        raise KeyboardInterrupt


def test_a_bar_is_a_bar_and_a_label_prints_in_any_encoding(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", stdout)
    one_line_errors(lambda: print("\u2501\u2501 caf\xe9 雏"))()
    stdout.flush()
    assert stdout.buffer.getvalue().decode("cp1252").split() == [
        "==",
        "café",
        r"\u96cf",
    ]
