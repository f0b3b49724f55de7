"""Which mined lists a run has drawn from: `stores.jsonl` in its folder, one line for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hardneg.system.atomic_write import atomic_write

FILE = "stores.jsonl"


def note_store(folder: Path, source: str, store: str, step: int, mined: bool) -> bool:
    """Note a list that training begins to draw from; return whether this run mined it.

    `mined` says whether that was just now. A resumed run finds lists that it has mined itself, so the first note
    counts. What a killed run drew after its last checkpoint is left out once the resumed one, which may compute a
    little differently, has mined other lists.
    """
    before = _lines(folder)
    for line in before:
        if (line["source"], line["store"]) == (source, store):
            return bool(line["mined"])
    kept = [line for line in before if line["source"] != source or line["step"] < step]
    lines = [*kept, {"source": source, "store": store, "step": step, "mined": mined}]
    with atomic_write(folder / FILE, alone=True) as draft:
        draft.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return mined


def read_stores(folder: Path, sources: Iterable[str]) -> dict[str, list[str]]:
    """Return the stores' names by source, oldest first: of a training run, or from the reports of `hardneg mine`."""
    found: dict[str, list[str]] = {}
    for line in _lines(folder):
        found.setdefault(line["source"], []).append(line["store"])
    for source in sources:
        report = folder / f"{source}.json"
        if source not in found and report.is_file():
            found[source] = [json.loads(report.read_text(encoding="utf-8"))["store"]]
    return found


def _lines(folder: Path) -> list[dict[str, Any]]:
    file = folder / FILE
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
