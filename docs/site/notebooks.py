"""The notebooks as pages of the site, with what they print where they have been run.

git holds them without outputs. `HARDNEG_TEST_NOTEBOOKS=build/notebooks pytest tests/integration/test_notebooks.py` runs
them on the generated data set and leaves them where the site takes outputs from, as long as the code is the same.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = ROOT / "build" / "notebooks"
HERE = re.compile(r"/\S*/test_a_notebook_runs\w*/")  # the folder that the test runs it in
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def markdown(path: Path) -> str:
    """A notebook as a page."""
    cells, ran = cells_of(path)
    title, *rest = [one for n, cell in enumerate(cells) for one in _cell(cell, f"{path.stem}-{n}")]
    head, _, text = title.partition("\n")
    shown = (
        "Outputs are of `HARDNEG_NOTEBOOK_DATA=toy`, a small generated set." if ran else "Outputs come by running it."
    )
    note = f'*A notebook: <a href="{path.name}" download>{path.name}</a>, for `jupyter lab`. {shown}*'
    return "\n\n".join([head, note, text.strip(), *rest]) + "\n"


def cells_of(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The cells of a notebook, and whether they have been run as they are now."""
    own = json.loads(path.read_text())["cells"]
    if (ran := EXECUTED / path.name).exists():
        done = json.loads(ran.read_text())["cells"][-len(own) :]  # the test puts a cell in front
        if _code(done) == _code(own):
            return [mine | {"outputs": its.get("outputs", ())} for mine, its in zip(own, done, strict=True)], True
    return own, False


def _code(cells: list[dict[str, Any]]) -> list[str]:
    return ["" if cell["cell_type"] == "markdown" else _joined(cell["source"]) for cell in cells]


@functools.cache
def pictures(path: Path) -> dict[str, bytes]:
    """The pictures that a notebook made, by the name under which its page shows them."""
    found = {}
    for n, cell in enumerate(cells_of(path)[0]):
        for m, output in enumerate(cell.get("outputs", ())):
            if "image/png" in output.get("data", {}):
                found[_picture(f"{path.stem}-{n}", m)] = base64.b64decode(_joined(output["data"]["image/png"]))
    return found


def _picture(cell: str, output: int) -> str:
    return f"{cell}-{output}.png"


def _cell(cell: dict[str, Any], name: str) -> list[str]:
    """A cell and its outputs, a block each."""
    source = _joined(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    shown = [f"```python\n{source}\n```"]
    printed: list[str] = []
    for m, output in enumerate(cell.get("outputs", ())):
        if output.get("output_type") == "stream":
            printed.append(_joined(output["text"]))
            continue
        shown += [_text("".join(printed)), _output(output, _picture(name, m))]
        printed = []
    return [*filter(None, shown), *filter(None, [_text("".join(printed))])]


def _output(output: dict[str, Any], picture: str) -> str:
    """What Jupyter would show: a picture before a table before text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![output of the cell above]({picture})"
    if "text/html" in data:
        return _table(_joined(data["text/html"]))
    return _text(_joined(data.get("text/plain", "")))


def _text(printed: str) -> str:
    """What was printed, as it stands on a screen in the end; empty for nothing."""
    text = HERE.sub("", COLOURS.sub("", printed))
    lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    said = "\n".join(lines).strip("\n")
    return f"```text\n{said}\n```" if said else ""


def _table(html: str) -> str:
    """HTML that Markdown leaves alone, in the style of the site's other tables."""
    html = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    html = re.sub(r'<table[^>]*class="dataframe"[^>]*>', "<table>", html)
    return "\n".join(line for line in html.splitlines() if line.strip())


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
