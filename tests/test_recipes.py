"""The pages of the recipes: their form, their links, and the files made of them."""

import json
import re
from itertools import chain

import pytest
from conftest import ROOT
from pages import run_ruff

from pyimagesearch.recipes import __main__ as recipes

WORDS = {"", "later", "alone", "fragment", "devices", "workers"}
README = recipes.FOLDER / "README.md"
PAGES = [path.stem for path in sorted(recipes.FOLDER.glob("*.md")) if path != README]
PROGRAMS = [page for page in PAGES if recipes.code_blocks(page)]
LIMITS = {"own_csv": 28_000, "other_targets": 28_000, "errors": None}
TEXTS = {page: recipes.read_page(page) for page in PAGES}


def headings(text):
    return [found[3] for found in recipes.PIECE.findall(text) if found[3]]


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


# The pages


@pytest.mark.parametrize("page", PAGES)
def test_every_word_behind_python_is_known_and_each_page_is_short(page):
    blocks = [piece[:2] for piece in recipes.PIECE.findall(TEXTS[page]) if piece[0]]
    assert {word for language, word in blocks if language == "python"} <= WORDS
    assert {language for language, _ in blocks} <= {"python", "sh", "bat", "text"}
    limit = LIMITS.get(page, 20_000)
    assert limit is None or len(TEXTS[page]) <= limit


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_page_begins_with_what_it_makes_how_long_it_takes_and_its_sections(page):
    top = TEXTS[page].partition("\n## ")[0]
    assert re.match(r"# .+\n\n\w", top) and "```python" not in top
    assert re.search(r"(minutes?|seconds) on two cores", " ".join(top.split()))
    prose = recipes.PIECE.sub(lambda piece: piece[0] if piece[4] else "", TEXTS[page])
    sections = re.findall(r"(?m)^##+ (.+)\n\n(?!#)", prose)
    linked = re.findall(r"\]\(#([^)]+)\)", top)
    assert [section for section in sections if slug(section) not in linked] == []


@pytest.mark.parametrize("path", [ROOT / "README.md", *recipes.FOLDER.glob("*.md")])
def test_every_link_of_the_page_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        file, _, anchor = target.partition("#")
        goal = path.parent / file if file else path
        assert goal.exists(), target
        if anchor:
            assert anchor in map(slug, headings(goal.read_text(encoding="utf-8"))), (
                target
            )


def test_the_first_page_names_all_others():
    text = README.read_text(encoding="utf-8")
    assert all(f"({page}.md" in text for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_formatted_and_programs_import_what_they_use(tmp_path, page):
    blocks = {word: recipes.code_blocks(page, word) for word in WORDS}
    run_ruff(tmp_path / "blocks", chain(*blocks.values()), "format", "--diff")
    whole = recipes.build_programs(page) + blocks["alone"] + blocks["workers"]
    run_ruff(tmp_path / "whole", whole, "check", "--select=F", "--ignore=F811,F401")


# The files made of them


def test_a_program_has_the_headings_as_comments_and_the_later_blocks_beside(
    call_main, tmp_path
):
    call_main(recipes, "own_csv.py", "training.ipynb")
    later = recipes.code_blocks("own_csv", "later")
    names = ["own_csv.py", *(f"own_csv_{k + 2}.py" for k in range(len(later)))]
    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert sorted(written) == sorted([*names, "training.ipynb"])
    bare = recipes.code_blocks("own_csv")
    for name, blocks in zip(names, [bare, *([code] for code in later)], strict=True):
        rest, comments = written[name], []
        for block in blocks:
            between, rest = rest.split(block, 1)
            comments.append(between.strip())
        assert not rest and set(comments) <= {
            f"# {h}" for h in headings(TEXTS["own_csv"])
        }
        assert len(set(comments)) == len(blocks)


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_notebook_holds_the_program_and_shows_its_pictures(page):
    notebook = json.loads(recipes.build_notebook(page))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
    cells = [(cell["cell_type"], cell["source"]) for cell in notebook["cells"]]
    assert cells[0][1].startswith("%matplotlib inline\n") and "train.py" in cells[0][1]
    later = recipes.build_programs(page)[1:]
    blocks = [block.strip() for block in recipes.code_blocks(page) + later]
    code = [source for kind, source in cells[1:] if kind == "code"]
    shown = [block + "\nfigure" * ("savefig" in block) for block in blocks]
    assert code == shown and all("figure.savefig" in c for c in code if "savefig" in c)
    program, *rest = recipes.build_programs(page)
    assert len(rest) == len(recipes.code_blocks(page, "later"))
    assert all(program.count(f"# {h}\n\n") <= 1 for h in headings(TEXTS[page]))
    prose = [source for kind, source in cells if kind == "markdown"]
    assert sum("restart the kernel first" in text for text in prose) == len(later)
    assert not re.search(r"\]\((?!http)", "".join(prose))
    assert all(f"# {heading}" in "".join(prose) for heading in headings(TEXTS[page]))


def test_a_set_up_cell_names_the_folder_without_train_py(tmp_path, monkeypatch):
    code = recipes.SET_UP.removeprefix("%matplotlib inline\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no train.py in {tmp_path}"):
        exec(code, {})  # noqa: S102
    monkeypatch.chdir(ROOT)
    exec(code, {})  # noqa: S102


@pytest.mark.parametrize(
    "names",
    ["", "errors.py", "README.py", "own_csv", "../own_csv.py", "own_csv.ipynb x.py"],
)
def test_a_name_without_a_program_is_refused_and_nothing_written(fail, names):
    message = fail(recipes, *names.split())
    assert "own_csv.py, own_generator.py" in message and ".ipynb" in message


def test_no_file_is_overwritten(fail, tmp_path):
    (tmp_path / "own_csv_3.py").write_text("mine")
    assert "own_csv_3.py is already here" in fail(recipes, "training.py", "own_csv.py")
