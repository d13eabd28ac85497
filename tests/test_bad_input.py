"""Users' mistakes give one line of error, before the first epoch, and cost no file."""

import io
import re
import sys
from unittest.mock import Mock, patch

import pytest
import tensorflow as tf

import train
from pyimagesearch.csv_rows import InputError
from pyimagesearch.options import one_line_errors, parse_args


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    monkeypatch.delattr(train, "MiniVGGNet")


def test_missing_bad_and_no_rows_a_single_class_and_a_new_one(fail, write_csv, pair):
    none, one = write_csv("none.csv", []), write_csv("one.csv", ["rose"] * 3)
    none.write_text("\n \r\n\n")
    two, new = write_csv("two.csv", "ab"), write_csv("new.csv", ["a", "orchid"])
    with open(pair[1], "a") as test_csv:
        test_csv.write("rose,1,2\n")
    missing = "the training file has no rows of 'orchid'; add some or remove this one"
    for train_csv, test_csv, start, end in (
        (*pair, f"{pair[1]}, line 22 ('rose,1,2'): 2 values instead", ""),
        (two, "no/test.csv", "no/test.csv: no such file in ", "no"),
        (none, one, f"{none}: no rows", ""),
        (one, one, f"{one}: every row has the label 'rose'; training needs two", ""),
        (two, new, f"{new}, line 2 ('orchid,", f"): {missing}"),
    ):
        message = fail(train, "-t", train_csv, "-v", test_csv)
        assert message.startswith(f"[ERROR] {start}") and message.endswith(end)
    assert "flowers17_training.csv: no such file in " in fail(train)


@pytest.mark.parametrize(("option", "least"), [("-e", 1), ("-b", 2), ("--seed", 0)])
def test_numbers_have_bounds(fail, option, least):
    for value in (str(least - 1), "many", "1.5", "", str(2**32)):
        message = f"{value!r} is not a whole number from {least} to {2**32 - 1}"
        assert message in fail(train, option, value)


OUTPUTS = [("-p", "x.png"), ("-m", "x.keras"), ("--backup", "x.weights.h5")]


@pytest.mark.parametrize(("option", "name"), OUTPUTS)
def test_a_name_that_no_output_can_have(fail, tmp_path, option, name):
    (tmp_path / name).mkdir()
    (tmp_path / "y.classes.txt").mkdir()  # beside y.keras
    wrong = {f"no/{name}": "No such file", name: "is a folder"}
    for ending in ("x", "x.txt", "x.pgf", "x.h5", name[1:], "X.KERAS", "X.WEIGHTS.H5"):
        wrong[ending] = f"must be a name that ends in .{name[2:]}"
    for path, message in wrong.items():
        assert f"{path}: {message}" in fail(train, option, path)
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
    assert re.findall(r"\(default: (.*?)\)", output) == DEFAULTS.split()


def tensorflows(line):
    """Return what TensorFlow makes of an error in a generator."""
    text = f"Detected at node PyFunc\n{line}\nTraceback (most"
    return tf.errors.UnknownError(None, None, text)


def test_what_a_user_can_cause_is_one_line():
    for error, line in (
        (InputError("x.csv, line 3: odd\nindeed"), "x.csv, line 3: odd indeed"),
        (OSError(28, "No space left", "x.csv"), "x.csv: No space left"),
        (OSError("odd"), "odd"),
        (tensorflows("InputError: x.csv, line 3 ('ä…')"), "x.csv, line 3 ('ä…')"),
        (tensorflows("FileNotFoundError: [Errno 2] No file: 'x'"), "No file: 'x'"),
        (tensorflows("TypeError: a mistake of ours"), None),
        (tensorflows("OSError: a library's"), None),
        (ValueError("InputError: no"), None),  # our own keep their traceback
    ):
        with pytest.raises(SystemExit if line else type(error)) as stop:
            one_line_errors(Mock(side_effect=error))()
        assert not line or stop.value.code == f"[ERROR] {line}"


def test_a_bar_is_a_bar_and_a_label_prints_in_any_encoding(monkeypatch):
    for stdout in (io.StringIO(), io.TextIOWrapper(io.BytesIO(), "cp1252")):
        monkeypatch.setattr(sys, "stdout", stdout)
        one_line_errors(lambda: print("\u2501\u2501 caf\xe9 雏", flush=True))()
    assert stdout.buffer.getvalue().split() == [b"==", b"caf\xe9", rb"\u96cf"]
