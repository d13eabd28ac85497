"""The first page: its blocks run as they stand, and say what happens."""

import ast
import inspect
import re
import shutil
from functools import partial
from itertools import islice
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT, make_rows
from pages import KINDS, TEST, TRAIN, run_code, shorter_fit, write_flowers
from tensorflow import keras

import train
from pyimagesearch.check_generator import check_generator
from pyimagesearch.csv_rows import read_labels
from pyimagesearch.recipes.__main__ import PIECE

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {}
for language, word, code, _ in PIECE.findall(README):
    BLOCKS.setdefault(f"{language} {word}".strip(), []).append(code)
(FIRST,), (TEMPLATE,), (CHECK,), (LOOP,), (GENERATOR,), (OLD,), (NEW,) = (
    BLOCKS[f"python {word}"]
    for word in ("alone", "template", "check", "loop", "generator", "old", "new")
)


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The current folder, with two small flower CSVs."""
    write_flowers(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_lesson_is_short_and_shows_train_pys_generator():
    assert len(README) <= 28_000
    assert README.index("```python") < 1200
    assert FIRST.count("\n") <= 45
    source = inspect.getsource(train.csv_image_generator)
    signature, _, body = source.split('    """')[0], *source.split('"""')[1:]
    assert GENERATOR == signature + body.lstrip("\n")


def test_the_first_block_learns_and_ends_with_a_prediction(flowers, capsys):
    fit = keras.Model.fit
    longer = lambda *args, **options: fit(*args, **options | {"epochs": 40})
    with patch.object(keras.Model, "fit", longer):
        found = run_code(flowers, FIRST)
    assert found["model"].history.history["accuracy"][-1] > 0.9
    assert re.search(r"predicted: iris true: iris\n$", capsys.readouterr().out)
    labels, images = zip(*make_rows(KINDS * 18)[:7])
    batch, targets = next(found["generator"](TRAIN, 7))
    assert (batch == images).all()
    assert [found["classes"][k] for k in targets.argmax(axis=1)] == [*labels]
    exec(LOOP, found)  # noqa: S102
    assert re.search(r"(?m)^5 [\d.]+ 1.0$", capsys.readouterr().out)


def test_the_template_and_its_check_run_beside_copies(flowers, monkeypatch, capsys):
    for name in ("csv_rows.py", "check_generator.py"):
        shutil.copy(ROOT / "pyimagesearch" / name, flowers)
    monkeypatch.syspath_prepend(flowers)
    functions = [train.csv_image_generator, train.as_validation_data]
    before, after = TEMPLATE.split(
        "# csv_image_generator and as_validation_data go here.\n"
    )
    code = before + "\n".join(map(inspect.getsource, functions)) + after
    assert "pyimagesearch" not in code
    for name, copy in ((TRAIN, "train.csv"), (TEST, "test.csv")):
        shutil.copy(name, copy)
    names = {"model": train.build_model(6, 1)}
    with patch.object(keras.Model, "fit", shorter_fit(1)):
        exec(code, names)  # noqa: S102
    assert names["predicted"].shape == (36,) and names["lb"].classes_.size == 6
    assert names["model"].optimizer.iterations == 72 // 32
    assert "'iris': 12" in capsys.readouterr().out
    exec(CHECK, names)  # noqa: S102
    assert "[WARNING]" not in capsys.readouterr().out


def test_the_new_call_of_fit_runs_and_the_old_one_parses(flowers):
    ast.parse(OLD)
    lb = train.LabelBinarizer().fit(KINDS)
    layers = [keras.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(6)]
    names = vars(train) | {"ceil": int, "model": keras.Sequential(layers)}
    names["InverseTimeDecay"] = keras.optimizers.schedules.InverseTimeDecay
    names["train_gen"] = train.csv_image_generator(TRAIN, 8, lb)
    names["make_test_gen"] = partial(train.csv_image_generator, TEST, 36, lb, "eval")
    with patch.object(keras.Model, "fit", shorter_fit(1)):
        exec(NEW, names)  # noqa: S102
    assert names["model"].optimizer.iterations == 1020 // 32


def test_the_test_command_is_the_one_that_ci_runs():
    (command,) = [code.strip() for code in BLOCKS["sh"] if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


def test_the_check_and_two_exercises_print_what_the_page_says(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    labels = read_labels(TRAIN)
    lb = train.LabelBinarizer().fit(labels)
    check_generator(partial(train.csv_image_generator, TRAIN, 32, lb), 31, rows=1020)
    shown = re.findall(r"(?m)^\[(?:INFO|WARNING)\] .*", README)
    for line in capsys.readouterr().out.splitlines():
        assert any(line.startswith(text.removesuffix(" ...")) for text in shown), line

    above = "    images, targets = [], []\n    while True:"
    inside = "    while True:\n        images, targets = [], []\n"
    names = {"np": np, "classes": list(lb.classes_)}
    code = FIRST[FIRST.index("def generator") : FIRST.index("\n\nlayers")]
    exec(code.replace(above, inside), names)  # noqa: S102
    assert code.count(above) == 1
    (mistake,) = check_generator(partial(names["generator"], TRAIN, 32), 31, rows=1020)
    assert f"[WARNING] {mistake}" in shown
    assert "2. 17 and 18; the last 28." in README and 1020 % 32 == 28
    read = lambda path: (("", "daisy", [k]) for k in range(1, 19))
    generator = train.csv_image_generator("", 4, lb, read_rows=read)
    epoch = np.concatenate([images for images, _ in islice(generator, 4, 8)])
    assert epoch.ravel().tolist() == [17, 18, *range(1, 15)]
    assert "1. 17, 18, and 1 to 14." in README
