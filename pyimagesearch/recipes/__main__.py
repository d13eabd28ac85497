"""Write a recipe's page as a program or a notebook into the current folder.

`python -m pyimagesearch.recipes own_csv.py` writes the program of own_csv.md, and its
later blocks beside it as own_csv_2.py, own_csv_3.py, ...; own_csv.ipynb writes the page
as a notebook. Files that are there stay as they are.
"""

import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
# A fenced block, with its language, word and text, or a heading, with its text.
PIECE = re.compile(r"(?ms)^```(\w*) ?([^\n]*)\n(.*?)^```$|^#+ ([^\n]*)$")
LINK = re.compile(r"\[([^]]+)\]\((?!http)[^)]+\)")

SET_UP = """\
%matplotlib inline
from pathlib import Path

# TensorFlow prints red lines when it is imported; they are no errors.
if not Path("train.py").is_file():
    # Write these lines at the top, with your clone's folder, and run the cell again:
    # %cd keras-generator
    # %pip install -q -r requirements.txt
    raise FileNotFoundError(f"no train.py in {Path.cwd()}: do what the comment says")
"""
MOVED = "*This block is a process of its own: see the end of the notebook.*"
RESTART = (
    "**A process of its own: restart the kernel first**, and run the first cell again."
)


def read_page(page):
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def code_blocks(page, word=""):
    """Return the Python blocks of a page, such as "own_csv", fenced with this word."""
    found = PIECE.findall(read_page(page))
    return [code for language, w, code, _ in found if (language, w) == ("python", word)]


def build_programs(page):
    """Return a page's program, then its later ones, with its headings as comments."""
    program, later, comment = [], [], ""
    for language, word, code, heading in PIECE.findall(read_page(page)):
        if heading:
            comment = f"# {heading}\n\n"
        elif language == "python" and word in ("", "later"):
            (later if word else program).append(comment + code)
            comment = ""
    return ["\n\n".join(program), *later]


def build_notebook(page):
    """Return a page as a Jupyter notebook, with the later programs at its end."""
    cells, text, end = [code_cell(SET_UP)], read_page(page), 0
    for block in PIECE.finditer(text):
        language, word, code, _ = block.groups()
        if language == "python" and word in ("", "later"):
            prose = text[end : block.start()]
            if word:
                cells.append(prose_cell(prose + MOVED))
            else:
                cells += [prose_cell(prose), code_cell(code)]
            end = block.end()
    cells.append(prose_cell(text[end:]))
    for program in build_programs(page)[1:]:
        cells += [prose_cell(RESTART), code_cell(program)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}}
    return json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 4}, indent=1)


def code_cell(code):
    show = "figure" if "savefig" in code else ""  # the picture, below the cell
    cell = {"cell_type": "code", "metadata": {}, "source": (code + show).strip()}
    return cell | {"execution_count": None, "outputs": []}


def prose_cell(text):
    text = LINK.sub(r"\1", text)  # links to files and headings lead nowhere here
    text = re.sub(r"(?m)^```python .*$", "```python", text)
    return {"cell_type": "markdown", "metadata": {}, "source": text.strip()}


def main():
    pages = [path.stem for path in sorted(FOLDER.glob("*.md"))]
    pages = [page for page in pages if code_blocks(page)]
    files = {}
    for name in sys.argv[1:] or [""]:
        page, _, ending = name.rpartition(".")
        if page not in pages or ending not in ("py", "ipynb"):
            names = ", ".join(f"{page}.py" for page in pages)
            sys.exit(f"[ERROR] {name!r} is not one of {names}, nor one with .ipynb")
        if ending == "ipynb":
            files[name] = build_notebook(page)
        else:
            files[name], *later = build_programs(page)
            files |= {f"{page}_{k}.py": code for k, code in enumerate(later, start=2)}
    for name in files:
        if Path(name).exists():
            sys.exit(f"[ERROR] {name} is already here; nothing was written")
    for name, text in files.items():
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            sys.exit(f"[ERROR] {name}: {error.strerror}")
        print("wrote", name)


if __name__ == "__main__":
    main()
