"""docs/guides/what_a_run_prints.md: each line on it is one of the code's, and each line of a run is on it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hardneg

SOURCE = Path(hardneg.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "guides" / "what_a_run_prints.md"
# What a run goes through; the others are rooms of other commands.
ROOMS = ("data", "encoders", "filters", "losses", "matrix", "mining", "negatives", "pairs", "preflight", "retrieval",
         "runlog", "runs", "system", "teachers", "training", "commands/train.py", "commands/mine.py")  # fmt: skip
ELSEWHERE = {  # lines that are no run's on the screen: of the log file alone, or of hardneg mine, beside its report
    "what could not be read or written",
    "batch_size: …, as batch_size=auto takes it here…",
    "encoder.lr: …, as encoder.lr=auto takes it for …",
    "W&B offline run … in …; view: …",
    "…: queries held out of train: …; train keeps …",
    "…: store …, report …",
    "results: …",
    "…: … (…, the hardest negatives.….k=…) in …",
}


def template(node: ast.AST) -> str | None:
    """A string with … for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = re.sub(r"%[-+.\d]*[sdgrf]", "…", node.value).replace("%%", "%")
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    else:
        return None
    return " ".join(text.split())


def files(room: str) -> Iterator[Path]:
    path = SOURCE / room
    yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def strings() -> list[str]:
    """All strings of the code."""
    trees = (ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py"))
    return [text for tree in trees for node in ast.walk(tree) if (text := template(node))]


def logged() -> Iterator[str]:
    """The lines that a run may log, as far as they are written where they are logged."""
    for room in ROOMS:
        for path in files(room):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("log.info", "log.warning"):
                    text = template(node.args[0])
                    if text and re.search(r"\w", text):
                        yield text


def on_the_page() -> list[str]:
    """The messages: what is in backticks in the first column, of alarms in the second."""
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [row[1] if len(row) == 3 else row[0] for row in rows]
    return [" ".join(text.split()) for cell in cells for text in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", on_the_page())
def test_each_message_is_one_of_the_code(message):
    assert any(message in text for text in strings())


def test_each_line_of_a_run_is_on_the_page():
    page = on_the_page()
    missing = [text for text in logged() if text not in ELSEWHERE and not any(said in text for said in page)]
    assert not missing


def test_each_alarm_is_on_the_page():
    raised = {
        node.args[0].value
        for node in ast.walk(ast.parse((SOURCE / "mining" / "alarm_rules.py").read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Alarm" and isinstance(node.args[0], ast.Constant)
    }
    assert raised and raised == set(re.findall(r"^\| `(\w+)` \| `", PAGE.read_text("utf-8"), flags=re.MULTILINE))
