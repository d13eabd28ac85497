"""Write a recipe's page as a program or a notebook into the current folder.

`python -m pyimagesearch.recipes own_csv.py` writes the program of own_csv.md, and its
later blocks beside it as own_csv_2.py, own_csv_3.py, ...; own_csv.ipynb writes the page
as a notebook.
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FENCED = re.compile(r"(?ms)^```(\w*) ?([^\n]*)\n(.*?)^```$")


def code_blocks(page, word=""):
    """Return the Python blocks of a page, such as "own_csv", fenced with this word."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    found = FENCED.findall(text)
    return [code for language, w, code in found if (language, w) == ("python", word)]


def main():
    for name in sys.argv[1:]:
        page = Path(name).stem
        programs = ["\n\n".join(code_blocks(page)), *code_blocks(page, "later")]
        for number, program in enumerate(programs, start=1):
            path = Path(f"{page}_{number}.py" if number > 1 else f"{page}.py")
            path.write_text(program, encoding="utf-8")


if __name__ == "__main__":
    main()
