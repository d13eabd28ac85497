"""Write a recipe's page as a program or a notebook into the current folder.

`python -m pyimagesearch.recipes own_csv.py` writes the program of own_csv.md, and its
later blocks beside it as own_csv_2.py, own_csv_3.py, ...; own_csv.ipynb writes the page
as a notebook. Files that are there stay as they are.
"""

import json
import re
import sys
from pathlib import Path

from pyimagesearch.csv_rows import InputError
from pyimagesearch.options import one_line_errors

FOLDER = Path(__file__).parent
# A fenced block, with its language, word and text, or a heading, with its text.
PIECE = re.compile(r"(?ms)^```(\w*) ?([^\n]*)\n(.*?)^```$|^#+ ([^\n]*)$")

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
    text = re.sub(r"(?ms)^```python later$.*?^```$", MOVED, read_page(page))
    # Code, prose, code, prose, ...
    pieces = [SET_UP, *re.split(r"(?ms)^```python\n(.*?)^```$", text)]
    for program in build_programs(page)[1:]:
        pieces[-1] += f"\n{RESTART}"
        pieces += [program, ""]
    cells = [build_cell(piece, k % 2 == 0) for k, piece in enumerate(pieces)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}}
    return json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 4}, indent=1)


def build_cell(text, is_code):
    if is_code:
        text += "figure" * ("savefig" in text)  # shows the picture below the cell
        cell = {"cell_type": "code", "execution_count": None, "outputs": []}
    else:
        text = re.sub(r"\[([^]]+)\]\((?!http)[^)]+\)", r"\1", text)  # dead links
        text = re.sub(r"(?m)^```python .*$", "```python", text)
        cell = {"cell_type": "markdown"}
    return cell | {"metadata": {}, "source": text.strip()}


@one_line_errors
def main():
    pages = [path.stem for path in sorted(FOLDER.glob("*.md"))]
    programs = [f"{page}.py" for page in pages if code_blocks(page)]
    files = {}
    for name in sys.argv[1:] or [""]:
        if name.replace(".ipynb", ".py") not in programs:
            names = f"{', '.join(programs)}, nor one with .ipynb"
            raise InputError(f"{name!r} is not one of {names}")
        page, _, ending = name.rpartition(".")
        if ending == "ipynb":
            files[name] = build_notebook(page)
        else:
            for k, code in enumerate(build_programs(page), start=1):
                files[f"{page}_{k}.py" if k > 1 else name] = code
    for name in files:
        if Path(name).exists():
            raise InputError(f"{name} is already here; nothing was written")
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
        print("wrote", name)


if __name__ == "__main__":
    main()
