"""Tables at the width of a terminal: what does not fit is laid out otherwise, and never cropped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUNDED = 100_000  # columns: a console's own measure is cut to its width
SHORTEST = 12  # columns of words that go on in further lines
# Are headings broken, do columns stand close, and words of how many columns are enough (None: of all).
WAYS = (
    (False, False, None),
    (True, False, None),
    (True, True, None),
    (True, False, SHORTEST),
    (True, True, SHORTEST),
)
TITLE = "table.title"  # rich's style of it
Cell = str | Text


def console_at(width: int) -> Console:
    """Return the terminal; where there is none, as in a pipe or a file, a console of this width."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


def print_title(console: Console, title: str, style: str = TITLE) -> None:
    """Print a title in lines of its own: a table would break its own at the table's width, not the terminal's.

    In a pipe or a file it is not broken.
    """
    console.print(Text(title, style=style), soft_wrap=not console.is_terminal)


def whole_width(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> int:
    """Return the columns of a terminal that a table takes where nothing is broken."""
    return _measure(_Content(headings, rows).table()).maximum


def least_width(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], words: Sequence[int] = (0,), shortest: int | None = None
) -> int:
    """Return the columns of a terminal that a table takes where headings are broken and its columns stand close.

    Its words have `shortest` columns or more (None: as many as the longest of them).
    """
    return _measure(_Content(headings, rows, words).table(broken=True, close=True, shortest=shortest)).minimum


def laid_out(
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    width: int,
    words: Sequence[int] = (0,),
    **options: Any,
) -> Iterator[Table]:
    """Lay out rows so that no character is lost: the columns at `words` go on in further lines, numbers never do.

    Where a terminal of this width is too narrow headings are broken, then columns stand closer, then words are broken.
    Where that is not enough there are several tables, each with the first column of words and some of the others.
    `options` are those of `rich.table.Table`.
    """
    content = _Content(headings, rows, words, options)
    for broken, close, shortest in WAYS:
        if _measure(content.table(broken=broken, close=close, shortest=shortest)).minimum <= width:
            yield content.table(broken=broken, close=close)
            return
    named = list(words[:1])
    part = list(named)
    for column in range(len(headings)):
        if column in named:
            continue
        more = content.table([*part, column], broken=True, close=True, shortest=SHORTEST)
        if part != named and _measure(more).minimum > width:
            yield content.table(part, broken=True, close=True)
            part = list(named)
        part.append(column)
    yield content.table(part, broken=True, close=True)


def _measure(table: Table) -> Measurement:
    console = Console(width=UNBOUNDED)
    return Measurement.get(console, console.options, table)


@dataclass(frozen=True)
class _Content:
    """What a table says, to be laid out in several ways."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[int] = (0,)
    options: Mapping[str, Any] = field(default_factory=dict)

    def table(
        self,
        columns: Sequence[int] | None = None,
        *,
        broken: bool = False,
        close: bool = False,
        shortest: int | None = None,
    ) -> Table:
        """Make a table of some columns (None: of all), in which words take no more than `shortest` columns."""
        columns = range(len(self.headings)) if columns is None else columns
        table = Table(padding=(0, 1 - close), **self.options)
        for column in columns:
            heading, cells = self.headings[column], [row[column] for row in self.rows]
            if column in self.words:
                table.add_column(Text(heading), overflow="fold", max_width=shortest)
                continue
            longest = max((len(str(cell)) for cell in cells), default=0)
            if broken:
                word = max(map(len, heading.split()), default=1)
                heading = "\n".join(textwrap.wrap(heading, max(longest, min(word, SHORTEST))))
            # The least width keeps numbers whole: rich would crop what it may not break.
            least = max([longest, *map(len, heading.split("\n"))])
            table.add_column(Text(heading), justify="right" if column else "left", no_wrap=True, min_width=least)
        for row in self.rows:
            table.add_row(*(row[at] if isinstance(row[at], Text) else Text(str(row[at])) for at in columns))
        return table
