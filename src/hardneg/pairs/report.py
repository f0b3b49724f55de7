"""The fate of the pairs, for people: a table on the screen, and in the run's folder every pair's reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from rich.console import Console

from hardneg.pairs.select import Selection
from hardneg.system.atomic_write import atomic_write
from hardneg.system.one_line import one_line
from hardneg.system.terminal_tables import laid_out, print_title

REPORT, REASONS = "pairs.json", "pairs.npz"  # in a run's folder
WIDTH = 60  # characters of a text on the screen


def write(folder: Path, selection: Selection) -> None:
    """Write the report and the reasons into a run's folder, and print the report, unless both are there already."""
    found = {"selection": selection.folder.name, "counts": selection.counts, **selection.card}
    path = folder / REPORT
    if path.exists() and json.loads(path.read_text("utf-8", "replace"))["selection"] == selection.folder.name:
        return
    show(selection)
    with atomic_write(folder / REASONS) as draft, draft.open("wb") as file:
        np.savez_compressed(file, reasons=selection.reasons, rules=np.array(["kept", *selection.card["rules"]]))
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(found, indent=2, ensure_ascii=False), "utf-8")


def kept_of(folder: Path) -> Bool[np.ndarray, " n"] | None:
    """Return which labelled pairs a run was trained on, from its folder; None for all."""
    if not (folder / REASONS).exists():
        return None
    with np.load(folder / REASONS) as held:
        return held["reasons"] == 0


def show(selection: Selection, console: Console | None = None) -> None:
    """Print how many pairs each rule dropped, and some of them."""
    counts = selection.counts
    total = sum(counts.values())
    console = console or Console()
    print_title(console, f"pairs: {counts['kept']:,} of {total:,} are trained on")
    rows = [
        [name if name == "kept" else f"dropped by {name}", f"{count:,}", f"{count / total:.1%}"]
        for name, count in counts.items()
    ]
    for table in laid_out(["labelled pairs", "", "share"], rows, console.width):
        console.print(table)
    if not selection.card["examples"]:
        return
    print_title(console, "some of those dropped")
    headings = ["dropped by", "measured", "query", "document"]
    shown = [
        [one_line(one[heading.replace(" ", "_")], WIDTH) for heading in headings] for one in selection.card["examples"]
    ]
    for table in laid_out(headings, shown, console.width, words=(0, 2, 3)):
        console.print(table)
