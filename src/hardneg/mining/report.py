"""What a mining pass leaves for people: a table, a Markdown report and score histograms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hardneg.data.training_set import TrainingSet
from hardneg.mining.audit import as_markdown, hardest, suspicious
from hardneg.mining.health import BLOCK, dropped, pool_of
from hardneg.mining.store import KEPT, RELABELLED, Store
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.figure_style import style
from hardneg.system.terminal_tables import print_title

NAMES = {"kept": "share kept"}  # of metrics, where a row above has the same name
GREY, BLUE, RED = "#888888", "#3465a4", "#a40000"


def show(name: str, store: Store, numbers: Mapping[str, float]) -> None:
    """Print the fate of the mined documents, and the health of the lists."""
    console, table = Console(), Table()
    print_title(console, f"{name}: {counted(store.card['queries'], *QUERIES)}")
    table.add_column("mined documents", overflow="fold")
    for heading in ("", "share"):
        table.add_column(heading, justify="right")
    counts = dropped(store)
    total = max(sum(counts.values()), 1)
    for reason, count in counts.items():
        said = reason if reason in ("kept", RELABELLED) else f"dropped by {reason}"
        table.add_row(said, f"{count:,}", f"{count / total:.1%}")
    table.add_section()
    for key, value in numbers.items():
        table.add_row(NAMES.get(key, key), f"{value:.4g}", "")
    console.print(table)


def report(
    name: str, store: Store, numbers: Mapping[str, float], training: TrainingSet, pool: int, samples: int
) -> str:
    """Write the same as Markdown, with the hardest kept negatives and those that are most likely false."""
    counts = dropped(store)
    total = max(sum(counts.values()), 1)
    likely = "Kept, but maybe relevant: closest to their positive, or above it"
    lines = [f"# {name} on {training.data.name}", "", f"Store `{store.folder.name}`.", ""]
    lines += ["| mined documents | | share |", "| --- | ---: | ---: |"]
    lines += [f"| {reason} | {count} | {count / total:.1%} |" for reason, count in counts.items()]
    lines += ["", "| | |", "| --- | ---: |"]
    lines += [f"| {NAMES.get(key, key)} | {value:.4g} |" for key, value in numbers.items()]
    return "\n".join(
        [
            *lines,
            "",
            as_markdown("The hardest kept negative of some queries", hardest(store, training, pool, samples)),
            as_markdown(likely, suspicious(store, training, pool, samples)),
        ]
    )


@style()
def draw(path: Path, name: str, store: Store, pool: int) -> None:
    """Draw how the scores of positives, of what may be drawn and of what was dropped are distributed."""
    from matplotlib.figure import Figure

    drawn, out = _scores(store, pool)
    groups = {"dropped": (out, GREY), "may be drawn": (drawn, RED), "positives": (store.positive[store.mined], BLUE)}
    finite = {label: values[np.isfinite(values)] for label, (values, _) in groups.items()}
    everything = np.concatenate(list(finite.values()))
    bins = np.histogram_bin_edges(everything, bins=50).tolist() if len(everything) else 10
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    ax = figure.subplots()
    for label, values in finite.items():
        if len(values):
            ax.hist(values, bins=bins, density=True, histtype="step", color=groups[label][1], label=label)
    ax.set_title(f"{name}: the miner's scores", loc="left")
    ax.set(xlabel="score", ylabel="density")
    ax.legend()
    figure.savefig(path)


def _scores(store: Store, pool: int) -> tuple[np.ndarray, np.ndarray]:
    drawn, out = [], []
    for start in range(0, len(store.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        drawn.append(store.scores[rows][pool_of(store, rows, pool)])
        out.append(store.scores[rows][(store.ids[rows] >= 0) & (store.reasons[rows] != KEPT)])
    return np.concatenate(drawn), np.concatenate(out)
