"""What a mining pass leaves for people: a table and a Markdown report; its figure is in score_histograms.py."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from hardneg.data.training_set import TrainingSet
from hardneg.mining.audit import as_markdown, hardest, suspicious
from hardneg.mining.health import dropped
from hardneg.mining.store import RELABELLED, Store
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.markdown_table import markdown_table
from hardneg.system.terminal_tables import print_title

NAMES = {"kept": "share kept"}  # of metrics, where a row above has the same name


def show(name: str, store: Store, numbers: Mapping[str, float]) -> None:
    """Print the fate of the mined documents, and the health of the lists."""
    console, table = Console(), Table()
    print_title(console, f"{name}: {counted(store.card['queries'], *QUERIES)}")
    table.add_column("mined documents", overflow="fold")
    for heading in ("", "share"):
        table.add_column(heading, justify="right")
    for row in _fates(store):
        table.add_row(*row)
    table.add_section()
    for key, value in numbers.items():
        table.add_row(NAMES.get(key, key), f"{value:.4g}", "")
    console.print(table)


def report(
    name: str, store: Store, numbers: Mapping[str, float], training: TrainingSet, pool: int, samples: int
) -> str:
    """Write the same as Markdown, with the hardest kept negatives and those that are most likely false."""
    likely = "Kept, but maybe relevant: closest to their positive, or above it"
    lines = [f"# {name} on {training.data.name}", "", f"Store `{store.folder.name}`.", ""]
    health = [(NAMES.get(key, key), f"{value:.4g}") for key, value in numbers.items()]
    return "\n".join(
        [
            *lines,
            *markdown_table(("mined documents", "", "share"), _fates(store), numbers=True),
            "",
            *markdown_table(("", ""), health, numbers=True),
            "",
            as_markdown("The hardest kept negative of some queries", hardest(store, training, pool, samples)),
            as_markdown(likely, suspicious(store, training, pool, samples)),
        ]
    )


def _fates(store: Store) -> list[tuple[str, str, str]]:
    """What became of the mined documents: kept, relabelled, or dropped by a filter; how many, and their share."""
    counts = dropped(store)
    total = max(sum(counts.values()), 1)
    named = {reason: reason if reason in ("kept", RELABELLED) else f"dropped by {reason}" for reason in counts}
    return [(named[reason], f"{count:,}", f"{count / total:.1%}") for reason, count in counts.items()]
