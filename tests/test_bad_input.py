"""Users' mistakes give one line of error, before the first epoch, and cost no file."""

import os
import sys

import pytest
from conftest import csv_bytes, make_rows

import train
from pyimagesearch import build_csv, check_csv, draw_flowers


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    monkeypatch.delattr(train, "MiniVGGNet")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (b",7\n", b"\n", "12,287 values"),
        (b",7\n", b",7,7\n", "12,289 values"),
        (b",7\n", b",256\n", "'256'"),
        (b",7\n", b",300\n", "'300'"),
        (b",7\n", b",-1\n", "'-1'"),
        (b",7\n", b",1.5\n", "'1.5'"),
        (b",7\n", b",red\n", "'red'"),
        (b",7\n", b",\n", "''"),
        (b",7\n", b",\0\n", r"'\x00'"),
        (b",7\n", b",\xff\n", "not UTF-8"),
        (b",7\n", b",1e2\n", "'1e2'"),
        (b",7\n", b",99999999999999999999\n", "'99999999999999999999'"),
        (b"rose,7,", b"ros\xe9,7,", "not UTF-8"),
        (b"rose,7,", b",7,", "''"),
        (b"rose,7,", b"rose\n\n\n", "0 values"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_a_broken_row(fail, pair, which, old, new, wrong):
    good = b"rose," + b",".join([b"7"] * 12288) + b"\n"
    pair[which].write_bytes(pair[which].read_bytes() + good.replace(old, new, 1))
    line = (41, 22)[which]
    message = fail(train, "-t", pair[0], "-v", pair[1])
    assert f"{pair[which]}, line {line}: " in message
    assert wrong in message


def test_missing_files_are_named_together_with_the_command_that_makes_them(fail):
    message = fail(train)
    assert "flowers17_training.csv and flowers17_testing.csv: no such file" in message
    assert "python -m pyimagesearch." in message


def test_one_missing_file(fail, pair):
    message = fail(train, "-t", pair[0], "-v", "nowhere.csv")
    assert "nowhere.csv: no such file" in message and "train.csv" not in message


@pytest.mark.parametrize("text", [b"", b"\n \r\n\n"])
def test_an_empty_file(fail, pair, text):
    pair[1].write_bytes(text)
    assert f"{pair[1]}: no rows" in fail(train, "-t", pair[0], "-v", pair[1])


def test_a_folder_in_place_of_a_csv(fail, pair, tmp_path):
    assert f"{tmp_path}: " in fail(train, "-t", tmp_path, "-v", pair[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs Linux")
def test_a_file_that_cannot_be_read(fail, pair):
    message = fail(train, "-t", pair[0], "-v", "/proc/self/mem")
    assert "/proc/self/mem: Input/output error" in message


def test_a_file_without_permission(fail, pair):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    pair[1].chmod(0)
    assert f"{pair[1]}: Permission denied" in fail(train, "-t", pair[0], "-v", pair[1])


def test_a_single_class(fail, write_csv):
    path = write_csv("one.csv", ["rose"] * 3)
    message = fail(train, "-t", path, "-v", path)
    assert f"{path}: all rows are 'rose'" in message


def test_a_test_label_that_training_lacks(fail, pair, write_csv):
    path = write_csv("new.csv", ["rose", "orchid"])
    message = fail(train, "-t", pair[0], "-v", path)
    assert f"{path}, line 2: " in message and "'orchid'" in message


@pytest.mark.parametrize("option", ["-e", "-b", "--epochs", "--batch-size"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_numbers_are_whole_and_positive(fail, option, value):
    assert repr(value) in fail(train, option, value)


@pytest.mark.parametrize("value", ["-1", "one", str(2**32)])
def test_a_seed_is_one_that_numpy_takes(fail, value):
    assert repr(value) in fail(train, "--seed", value)


@pytest.mark.parametrize(
    ("option", "path"),
    [("-p", "no/p.png"), ("-m", "no/m.keras"), ("--backup", "no/b.weights.h5")],
)
def test_a_path_in_a_folder_that_does_not_exist(fail, option, path):
    assert path in fail(train, option, path)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs Linux")
@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("-p", "/proc/p.png"),
        ("-m", "/proc/m.keras"),
        ("--backup", "/proc/b.weights.h5"),
    ],
)
def test_a_path_where_nobody_may_write(fail, option, path):
    assert path in fail(train, option, path)


@pytest.mark.parametrize("path", ["plot.txt", "plot", "plot.keras", "plot.pgf"])
def test_a_plot_that_matplotlib_cannot_save(fail, path):
    assert path in fail(train, "-p", path)


def test_a_model_or_a_backup_in_a_format_that_keras_does_not_save(fail):
    assert "m.h5: must end in .keras" in fail(train, "-m", "m.h5")
    assert "b.h5: must end in .weights.h5" in fail(train, "--backup", "b.h5")


@pytest.mark.parametrize(
    ("option", "name"),
    [("-p", "x.png"), ("-m", "x.keras"), ("--backup", "x.weights.h5")],
)
def test_a_folder_in_place_of_a_file(fail, tmp_path, option, name):
    (tmp_path / name).mkdir()
    assert f"{name}: is a folder" in fail(train, option, name)


@pytest.mark.parametrize("module", [check_csv, build_csv, draw_flowers])
def test_an_option_that_does_not_exist(fail, module):
    assert "--nonsense" in fail(module, "--nonsense")


def test_help_shows_the_usage_and_only_the_defaults_that_exist(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    with pytest.raises(SystemExit):
        train.main()
    output = capsys.readouterr().out
    assert output.startswith("usage: train.py [-h]")
    assert "(default: 75)" in output and "None" not in output


def test_other_errors_keep_their_traceback(monkeypatch):
    def parse_args():
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(train, "parse_args", parse_args)
    with pytest.raises(ValueError, match="ours"):
        train.main()


def test_rows_sorted_by_label_draw_only_a_warning(write_csv, capsys):
    path = write_csv("sorted.csv", ["iris"] * 3 + ["rose"] * 3)
    check_csv.check_csvs(path, path)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: the rows are sorted by label" in line


@pytest.mark.parametrize("labels", ["rose iris rose iris", "rose iris lily"])
def test_shuffled_rows_draw_no_warning(write_csv, capsys, labels):
    path = write_csv("mixed.csv", labels.split())
    check_csv.check_csvs(path, path)
    assert capsys.readouterr().err == ""


def test_a_class_missing_from_the_test_file_is_allowed(tmp_path):
    train_csv, test_csv = tmp_path / "train.csv", tmp_path / "test.csv"
    train_csv.write_bytes(csv_bytes(make_rows(["rose", "iris", "rose"])))
    test_csv.write_bytes(csv_bytes(make_rows(["rose"])))
    labels = check_csv.check_csvs(train_csv, test_csv)
    assert labels == (["rose", "iris", "rose"], ["rose"])
