"""The pages: their form, their links, what is made of them, and README's own blocks."""

import ast
import inspect
import json
import re
import shutil
from contextlib import nullcontext
from functools import partial
from itertools import chain
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT, make_rows
from pages import KINDS, TEST, TRAIN, run_code, run_ruff, shorter_fit, write_flowers
from tensorflow import keras

import train
from pyimagesearch.check_generator import check_generator
from pyimagesearch.csv_rows import read_labels
from pyimagesearch.recipes import __main__ as recipes

WORDS = {"", "later", "alone", "fragment", "devices", "workers"}
PAGES = [path.stem for path in sorted(recipes.FOLDER.glob("*.md"))]
PAGES.remove("README")
PROGRAMS = [page for page in PAGES if recipes.code_blocks(page)]
LIMITS = {"own_csv": 28_000, "other_targets": 28_000, "errors": 10**6}
TEXTS = {page: recipes.read_page(page) for page in PAGES}


def headings(text):
    return [found[3] for found in recipes.PIECE.findall(text) if found[3]]


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_word_behind_python_is_known_and_each_page_is_short(page):
    blocks = [piece[:2] for piece in recipes.PIECE.findall(TEXTS[page]) if piece[0]]
    assert {word for language, word in blocks if language == "python"} <= WORDS
    assert {language for language, _ in blocks} <= {"python", "sh", "bat", "text"}
    assert len(TEXTS[page]) <= LIMITS.get(page, 20_000)


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_page_begins_with_what_it_makes_how_long_it_takes_and_its_sections(page):
    top = TEXTS[page].partition("\n## ")[0]
    assert re.match(r"# .+\n\n\w", top) and "```python" not in top
    assert re.search(r"(minutes?|seconds) on two cores", " ".join(top.split()))
    prose = recipes.PIECE.sub(lambda piece: piece[0] if piece[4] else "", TEXTS[page])
    sections = re.findall(r"(?m)^##+ (.+)\n\n(?!#)", prose)
    assert {*map(slug, sections)} <= {*re.findall(r"\]\(#([^)]+)\)", top)}


@pytest.mark.parametrize("path", [ROOT / "README.md", *recipes.FOLDER.glob("*.md")])
def test_every_link_leads_somewhere_and_the_first_page_to_all_others(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        file, _, anchor = target.partition("#")
        goal = path.parent / file if file else path
        assert goal.exists(), target
        slugs = map(slug, headings(goal.read_text("utf-8"))) if anchor else [anchor]
        assert anchor in slugs, target
    if path == recipes.FOLDER / "README.md":
        assert all(f"({page}.md" in text for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_formatted_and_programs_import_what_they_use(tmp_path, page):
    blocks = {word: recipes.code_blocks(page, word) for word in WORDS}
    run_ruff(tmp_path / "blocks", chain(*blocks.values()), "format", "--diff")
    whole = recipes.build_programs(page) + blocks["alone"] + blocks["workers"]
    run_ruff(tmp_path / "whole", whole, "check", "--select=F", "--ignore=F811,F401")


def test_a_program_has_the_headings_as_comments_and_the_later_blocks_beside(
    call_main, tmp_path
):
    call_main(recipes, "own_csv.py", "training.ipynb")
    bare, later = (recipes.code_blocks("own_csv", word) for word in ("", "later"))
    programs = {"own_csv.py": bare}
    programs |= {f"own_csv_{k}.py": [code] for k, code in enumerate(later, start=2)}
    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert json.loads(written.pop("training.ipynb"))["nbformat"] == 4
    for name, blocks in programs.items():
        rest, comments = written.pop(name), []
        for block in blocks:
            between, rest = rest.split(block, 1)
            comments.append(between.strip().removeprefix("# "))
        assert not rest and {*comments} <= {*headings(TEXTS["own_csv"])}
        assert len({*comments}) == len(blocks)
    assert not written


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_notebook_holds_the_program_and_shows_its_pictures(page):
    cells = json.loads(recipes.build_notebook(page))["cells"]
    code, prose = (
        [cell["source"] for cell in cells if cell["cell_type"] == kind]
        for kind in ("code", "markdown")
    )
    later = recipes.build_programs(page)[1:]
    blocks = [block.strip() for block in recipes.code_blocks(page) + later]
    shown = [block + "\nfigure" * ("savefig" in block) for block in blocks]
    assert code == [recipes.SET_UP.strip(), *shown]
    assert all("figure.savefig" in cell for cell in code if "savefig" in cell)
    assert cells[0]["cell_type"] == "code"
    assert sum("restart the kernel first" in text for text in prose) == len(later)
    assert not re.search(r"\]\((?!http)", "".join(prose))
    assert all(f"# {heading}" in "".join(prose) for heading in headings(TEXTS[page]))


def test_a_set_up_cell_names_the_folder_without_train_py(tmp_path, monkeypatch):
    code = recipes.SET_UP.removeprefix("%matplotlib inline\n")
    for folder, error in ((ROOT, nullcontext()), (tmp_path, pytest.raises(OSError))):
        monkeypatch.chdir(folder)
        with error:
            exec(code, {})  # noqa: S102


def test_other_names_are_refused_and_no_file_is_overwritten(fail, tmp_path):
    for names in ("", "errors.py", "README.py", "own_csv", "../own_csv.py"):
        message = fail(recipes, "own_csv.ipynb", names)
        assert f"{names!r} is not one of " in message
        assert "own_csv.py, own_generator.py" in message
    assert ".ipynb" in fail(recipes)
    (tmp_path / "own_csv_3.py").write_text("mine")
    assert "own_csv_3.py is already here" in fail(recipes, "training.py", "own_csv.py")


README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {}
for language, word, code, _ in recipes.PIECE.findall(README):
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
    (command,) = [code.strip() for code in BLOCKS["sh"] if "pytest" in code]
    assert command in (ROOT / ".ci/run").read_text().splitlines()


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


def test_the_check_and_an_exercise_print_what_the_page_says(capsys, monkeypatch):
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
