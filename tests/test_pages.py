"""The pages: their form, their links, what is made of them, and README's own blocks."""

import inspect
import json
import re
import shutil
from functools import partial
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
PAGES = sorted({path.stem for path in recipes.FOLDER.glob("*.md")} - {"README"})
PROGRAMS = [page for page in PAGES if recipes.code_blocks(page)]
LIMITS = {"own_csv": 28_000, "other_targets": 28_000, "errors": 10**6}
TEXTS = {page: recipes.read_page(page) for page in PAGES}


def headings(text):
    return [found[3] for found in recipes.PIECE.findall(text) if found[3]]


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_its_programs_import_what_they_use(tmp_path, page):
    assert len(TEXTS[page]) <= LIMITS.get(page, 20_000)
    pieces = recipes.PIECE.findall(TEXTS[page])
    assert {piece[0] for piece in pieces} <= {"", "python", "sh", "bat", "text"}
    blocks = [piece[1:3] for piece in pieces if piece[0] == "python"]
    assert {word for word, _ in blocks} <= WORDS
    run_ruff(tmp_path / "blocks", [code for _, code in blocks], "format", "--diff")
    alone = [code for word, code in blocks if word in ("alone", "workers")]
    whole = recipes.build_programs(page) + alone
    assert all("".join(whole).count(f"# {h}\n\n") < 2 for h in headings(TEXTS[page]))
    run_ruff(tmp_path / "whole", whole, "check", "--select=F", "--ignore=F811,F401")


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


def test_a_program_and_its_later_blocks_have_headings_as_comments(call_main, tmp_path):
    call_main(recipes, "own_csv.py", "training.ipynb")
    bare, later = (recipes.code_blocks("own_csv", word) for word in ("", "later"))
    for k, blocks in enumerate([bare, *zip(later)], start=1):
        path = tmp_path / (f"own_csv_{k}.py" if k > 1 else "own_csv.py")
        pattern = "\n\n".join(f"# (.+)\n\n{re.escape(block)}" for block in blocks)
        comments = re.fullmatch(pattern, path.read_text("utf-8")).groups()
        assert [h for h in headings(TEXTS["own_csv"]) if h in comments] == [*comments]
        path.unlink()
    (path,) = tmp_path.iterdir()
    assert path.name == "training.ipynb" and json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_notebook_holds_the_program_and_shows_its_pictures(page):
    notebook = json.loads(recipes.build_notebook(page))
    code, prose = (
        [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == kind]
        for kind in ("code", "markdown")
    )
    later = recipes.build_programs(page)[1:]
    blocks = [block.strip() for block in recipes.code_blocks(page) + later]
    shown = [block + "\nfigure" * ("savefig" in block) for block in blocks]
    assert code == [recipes.SET_UP.strip(), *shown]
    assert all("figure.savefig" in cell for cell in code if "savefig" in cell)
    assert notebook["nbformat"] == 4 and notebook["cells"][0]["cell_type"] == "code"
    restart = [text.endswith(recipes.RESTART) for text in prose]
    assert restart[-len(later) - 1 :] == [True] * len(later) + [False]
    text = "".join(prose)
    assert text.count(recipes.MOVED) == len(later)
    assert not re.search(r"\]\((?!http)|```python ", text)
    assert all(f"# {heading}" in text for heading in headings(TEXTS[page]))


def test_a_set_up_cell_names_the_folder_without_train_py(tmp_path, monkeypatch):
    code = recipes.SET_UP.removeprefix("%matplotlib inline\n")
    monkeypatch.chdir(ROOT)
    exec(code, {})  # noqa: S102
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="no train.py in .+: do what the comment says"):
        exec(code, {})  # noqa: S102


def test_other_names_are_refused_and_no_file_is_overwritten(fail, tmp_path):
    for names in ("", "errors.py", "README.py", "own_csv", "../own_csv.py"):
        message = f"{names!r} is not one of other_targets.py, own_csv.py, own_gen"
        assert message in fail(recipes, "own_csv.ipynb", names)
    assert ".ipynb" in fail(recipes)
    (tmp_path / "own_csv_3.py").write_text("mine")
    assert "own_csv_3.py is already here" in fail(recipes, "training.py", "own_csv.py")


README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {word: code for _, word, code, _ in recipes.PIECE.findall(README) if word}
FIRST = BLOCKS["alone"]


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """The current folder, with two small flower CSVs."""
    write_flowers(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_lesson_is_short_and_shows_train_pys_generator():
    assert len(README) <= 28_000 and FIRST.count("\n") <= 45
    assert README.index("```python") < 1200 and README.count("```python") == len(BLOCKS)
    source = inspect.getsource(train.csv_image_generator)
    signature, _, body = source.split('    """')[0], *source.split('"""')[1:]
    assert BLOCKS["generator"] == signature + body.lstrip("\n")
    (command,) = re.findall(r"(?m)^```sh\n(.*pytest.*)\n```$", README)
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
    exec(BLOCKS["loop"], found)  # noqa: S102
    assert re.search(r"(?m)^5 [\d.]+ 1.0$", capsys.readouterr().out)


def test_the_template_and_the_new_call_run_beside_copies(flowers, monkeypatch, capsys):
    for name in ("csv_rows.py", "check_generator.py"):
        shutil.copy(ROOT / "pyimagesearch" / name, flowers)
    monkeypatch.syspath_prepend(flowers)
    monkeypatch.setattr(keras.Model, "fit", shorter_fit(1))
    functions = inspect.getsource(train.csv_image_generator)
    functions += inspect.getsource(train.as_validation_data)
    place = "# csv_image_generator and as_validation_data go here.\n"
    code = BLOCKS["template"].replace(place, functions)
    assert "pyimagesearch" not in code
    for name, copy in ((TRAIN, "train.csv"), (TEST, "test.csv")):
        shutil.copy(name, copy)
    layers = [keras.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(6)]
    names = {"model": keras.Sequential(layers)}
    names["model"].compile("sgd", "mse")
    exec(code, names)  # noqa: S102
    assert names["predicted"].shape == (36,) and names["lb"].classes_.size == 6
    assert names["model"].optimizer.iterations == 72 // 32
    assert "'iris': 12" in capsys.readouterr().out
    exec(BLOCKS["check"], names)  # noqa: S102
    assert "[WARNING]" not in capsys.readouterr().out
    compile(BLOCKS["old"], "old", "exec")
    names |= vars(keras.optimizers) | vars(keras.optimizers.schedules)
    names["train_gen"] = names["csv_image_generator"]("train.csv", 2, names["lb"])
    exec(BLOCKS["new"], names)  # noqa: S102
    assert names["model"].optimizer.iterations == 1020 // 32


def test_the_check_and_an_exercise_print_what_the_page_says(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    lb = train.LabelBinarizer().fit(read_labels(TRAIN))
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
