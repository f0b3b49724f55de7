"""The table over several data sets, for the terminal and Markdown."""

from __future__ import annotations

from rich import box
from rich.text import Text

from hardneg.compare.across_sets import MEAN, Across, caption, texts
from hardneg.compare.tables import WIDTH
from hardneg.system.markdown_table import markdown_table
from hardneg.system.terminal_tables import Cell, console_at, laid_out, print_title, whole_width


def show(table: Across) -> None:
    """Print to the terminal; in a pipe or a file all sets stand beside each other."""
    rows: list[list[Cell]] = [
        [arm, *(Text(cell, style="bold" * best) for cell, best in zip(cells, best_cells(table, arm), strict=True))]
        for arm, *cells in texts(table)
    ]
    headings = ["arm", *table.columns, MEAN]
    console = console_at(max(WIDTH, whole_width(headings, rows)))
    print_title(console, f"all sets: test {table.metric}", "bold")
    for drawn in laid_out(headings, rows, console.width, box=box.SIMPLE_HEAD):
        console.print(drawn)
    console.print(Text(caption(table), style="dim"))
    for note in table.notes:
        console.print(Text(f"! {note}", style="yellow"))
    console.print()


def markdown(table: Across) -> str:
    """Return the table with its caption and notes."""
    names = ["arm", *table.columns, MEAN]
    rows = []
    for row in texts(table):
        cells = [f"**{cell}**" if best else cell for cell, best in zip(row[1:], best_cells(table, row[0]), strict=True)]
        rows.append([row[0], *cells])
    lines = [f"**All sets: test {table.metric}**", "", *markdown_table(names, rows), "", caption(table), ""]
    return "\n".join(lines + [f"- {note}" for note in table.notes] + [""] * bool(table.notes))


def best_cells(table: Across, arm: str) -> list[bool]:
    """Say for each cell of an arm whether it is the highest of its column; of equal ones all are."""
    cells = [table.cell(arm, name) for name in table.columns]
    found = [one is not None and one.mean == table.best(name) for one, name in zip(cells, table.columns, strict=True)]
    return [*found, table.mean(arm) == table.best(None)]
