"""Tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> list[str]:
    """Return the lines of a table; `numbers` aligns all columns but the first to the right."""
    rules = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    return [_line(cells) for cells in (header, rules, *rows)]


def table_of_means(corner: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of metrics, a row for each name; all rows have the metrics of the first."""
    metrics = list(next(iter(rows.values())))
    cells = [[name, *(f"{row[metric]:.4f}" for metric in metrics)] for name, row in rows.items()]
    return "\n".join(markdown_table([corner, *metrics], cells))


def _line(cells: Sequence[str]) -> str:
    whole = [re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells]  # a bare bar would end the cell
    return f"| {' | '.join(whole)} |"
