"""Tables at the width of a terminal: what does not fit is laid out otherwise, and never cropped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUNDED = 100_000  # columns: a console's own measure is cut to its width
SHORTEST = 12  # columns of a name that goes on in further lines
TITLE = "table.title"  # rich's style of it
Cell = str | Text


def console_at(width: int) -> Console:
    """Return the terminal; where there is none, as in a pipe or a file, a console of this width."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def least_width(table: Table) -> int:
    """Return the columns of a terminal that a table takes where all is broken that it allows to be broken."""
    console = Console(width=UNBOUNDED)
    return Measurement.get(console, console.options, table).minimum


def whole_width(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> int:
    """Return the columns that a table takes where nothing is broken."""
    console = Console(width=UNBOUNDED)
    whole = _table(headings, rows, range(len(headings)), 0, False, False, False, {})
    return Measurement.get(console, console.options, whole).maximum


def print_title(console: Console, title: str, style: str = TITLE) -> None:
    """Print a title in lines of its own: a table would break its own at the table's width, not the terminal's.

    In a pipe or a file it is not broken.
    """
    console.print(Text(title, style=style), soft_wrap=not console.is_terminal)


def laid_out(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, name: int | None = 0, **options: Any
) -> Iterator[Table]:
    """Lay out rows so that no character is lost: the column at `name` goes on in further lines, numbers never do.

    Where a terminal of this width is too narrow headings are broken, then columns stand closer, then names are broken.
    Where that is not enough there are several tables, each with the names and some of the other columns. `options` are
    those of `rich.table.Table`.
    """
    everything = range(len(headings))

    def table(columns: Sequence[int], broken: bool, close: bool, short: bool = False) -> Table:
        return _table(headings, rows, columns, name, broken, close, short, options)

    for short in (False, True):
        for broken, close in ((False, False), (True, False), (True, True)):
            if least_width(table(everything, broken, close, short)) <= width:
                yield table(everything, broken, close)
                return
    named = [] if name is None else [name]
    part = list(named)
    for column in everything:
        if column == name:
            continue
        if part != named and least_width(table([*part, column], True, True, short=True)) > width:
            yield table(part, True, True)
            part = list(named)
        part.append(column)
    yield table(part, True, True)


def _table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    columns: Sequence[int],
    name: int | None,
    broken: bool,
    close: bool,
    short: bool,
    options: dict[str, Any],
) -> Table:
    """Make one table of some columns; with `short` as it is where names take the least."""
    table = Table(padding=(0, 1 - close), **options)
    for column in columns:
        heading, cells = headings[column], [row[column] for row in rows]
        longest = max((len(str(cell)) for cell in cells), default=0)
        if column == name:
            table.add_column(Text(heading), overflow="fold", max_width=SHORTEST if short else None)
            continue
        if broken:
            words = max(map(len, heading.split()), default=1)
            heading = "\n".join(textwrap.wrap(heading, max(longest, min(words, SHORTEST))))
        # The least width keeps numbers whole: rich would crop what it may not break.
        least = max([longest, *map(len, heading.split("\n"))])
        table.add_column(Text(heading), justify="right" if column else "left", no_wrap=True, min_width=least)
    for row in rows:
        table.add_row(*(row[at] if isinstance(row[at], Text) else Text(str(row[at])) for at in columns))
    return table
