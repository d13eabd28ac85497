"""Users' mistakes give one line of error, before the first epoch, and cost no file."""

import os
import sys

import pytest

import train
from pyimagesearch.csv_rows import check_csvs
from pyimagesearch.options import parse_args


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    monkeypatch.delattr(train, "MiniVGGNet")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("rose,1,2", "2 values after 'rose' instead of 12,288"),
        ("rose" + ",7" * 12287 + ",256", "'256'"),
        ("rös", "not UTF-8"),
    ],
)
def test_a_broken_row(fail, pair, which, row, wrong):
    pair[which].write_bytes(pair[which].read_bytes() + row.encode("latin-1") + b"\n")
    message = fail(train, "-t", pair[0], "-v", pair[1])
    assert message.startswith(f"[ERROR] {pair[which]}, line {(41, 22)[which]}: ")
    assert wrong in message


def test_missing_files_are_named_together_with_the_command_that_makes_them(fail):
    message = fail(train)
    assert "flowers17_training.csv and flowers17_testing.csv: no such file" in message
    assert "python -m pyimagesearch.datasets.build_csv" in message


def test_one_missing_file_or_a_folder(fail, pair, tmp_path):
    message = fail(train, "-t", pair[0], "-v", "nowhere.csv")
    assert "nowhere.csv: no such file" in message and "train.csv" not in message
    assert f"{tmp_path}: no such file" in fail(train, "-t", tmp_path, "-v", pair[1])


@pytest.mark.parametrize("text", [b"", b"\n \r\n\n"])
def test_an_empty_file(fail, pair, text):
    pair[1].write_bytes(text)
    assert f"{pair[1]}: no rows" in fail(train, "-t", pair[0], "-v", pair[1])


def test_a_single_class(fail, write_csv):
    path = write_csv("one.csv", ["rose"] * 3)
    message = fail(train, "-t", path, "-v", path)
    assert f"{path}: every row has the label 'rose'" in message


def test_a_test_label_that_training_lacks(fail, pair, write_csv):
    path = write_csv("new.csv", ["rose", "orchid"])
    message = fail(train, "-t", pair[0], "-v", path)
    assert f"{path}, line 2: the training file has no rows of 'orchid'" in message


@pytest.mark.parametrize(
    ("option", "least", "values"),
    [
        ("--epochs", 1, ["0", "-1", "many", "1.5", ""]),
        ("--batch-size", 2, ["0", "1"]),
        ("--seed", 0, ["-1", "one", str(2**32)]),
    ],
)
def test_numbers_have_bounds(fail, option, least, values):
    for value in values:
        message = f"{value!r} is not a whole number from {least} to {2**32 - 1}"
        assert message in fail(train, option, value)


OUTPUTS = [("-p", "x.png"), ("-m", "x.keras"), ("--backup", "x.weights.h5")]


@pytest.mark.parametrize(("option", "name"), OUTPUTS)
def test_a_file_that_cannot_be_written(fail, tmp_path, option, name):
    assert f"no/{name}: No such file" in fail(train, option, f"no/{name}")
    (tmp_path / name).mkdir()
    assert f"{name}: is a folder" in fail(train, option, name)
    if os.path.exists("/proc/self"):  # where nobody may write, not even root
        assert f"/proc/{name}: " in fail(train, option, f"/proc/{name}")


@pytest.mark.parametrize(("option", "name"), OUTPUTS)
def test_a_name_with_another_ending_or_with_nothing_before_it(fail, option, name):
    for wrong in ("x", "x.txt", "x.pgf", "x.h5", name[1:]):
        message = f"{wrong}: must be a name that ends in .{name[2:]}"
        assert message in fail(train, option, wrong)


def test_a_folder_where_the_class_names_go(fail, tmp_path):
    (tmp_path / "x.classes.txt").mkdir()
    assert "x.classes.txt: is a folder" in fail(train, "-m", "x.keras")


def test_an_option_that_does_not_exist(fail):
    assert "--nonsense" in fail(train, "--nonsense")


def test_options_have_the_tutorials_defaults_and_short_forms(monkeypatch, tmp_path):
    def parse(options):
        monkeypatch.setattr(sys, "argv", ["train.py", *options.split()])
        return [*map(str, vars(parse_args(epochs=75, batch_size=32)).values())]

    monkeypatch.chdir(tmp_path)
    wanted = (
        "flowers17_training.csv flowers17_testing.csv 75 32 plot.png None None None"
    )
    assert parse("") == wanted.split()
    options = (
        "-t a.csv -v b.csv -e 1 -b 2 -p c.{} -m d.keras --backup e.weights.h5 --seed {}"
    )
    for ending, seed in (("pdf", 0), ("svg", 2**32 - 1)):
        given = options.format(ending, seed)
        assert parse(given) == given.split()[1::2]
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_usage_and_only_the_defaults_that_exist(call_main, capsys):
    with pytest.raises(SystemExit):
        call_main(train, "--help")
    output = " ".join(capsys.readouterr().out.split())
    assert output.startswith("usage: train.py [-h]")
    for default in ("flowers17_training.csv", "75", "32", "plot.png"):
        assert f"(default: {default})" in output
    assert "None" not in output


def test_what_was_read_is_said_and_the_test_file_may_lack_a_class(write_csv, capsys):
    labels = ["iris", "rose", "daisy", "iris"]
    csvs = write_csv("train.csv", labels), write_csv("test.csv", labels[:2])
    assert check_csvs(*csvs) == (labels, labels[:2])
    line = "[INFO] 4 training and 2 testing rows, 3 classes: daisy, iris, rose\n"
    assert capsys.readouterr() == (line, "")


@pytest.mark.parametrize("classes", [10, 11])
def test_the_first_ten_classes_are_named(write_csv, capsys, classes):
    labels = [f"kind{k:02}" for k in reversed(range(classes))]
    path = write_csv("many.csv", [*labels, labels[0]])
    check_csvs(path, path)
    names = ", ".join(sorted(labels)[:10]) + ", ..." * (classes > 10)
    assert capsys.readouterr().out.endswith(f"{classes} classes: {names}\n")


@pytest.mark.parametrize(
    ("labels", "warned"),
    [("iris iris rose rose", 1), ("rose iris rose iris", 0), ("rose iris lily", 0)],
)
def test_only_rows_sorted_by_label_cause_a_warning(write_csv, capsys, labels, warned):
    path = write_csv("rows.csv", labels.split())
    check_csvs(path, path)
    line = f"[WARNING] {path}: the rows are sorted by label; shuffle them first\n"
    assert capsys.readouterr().err == line * warned
