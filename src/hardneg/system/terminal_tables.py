"""Tables on terminals of any width: the columns that one needs, and its title as a line of its own."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUNDED = 100_000  # columns: a console's own measure is cut to its width
TITLE = "table.title"  # rich's style of it


def least_width(table: Table) -> int:
    """Return the columns of a terminal that a table takes where all is broken that it allows to be broken."""
    console = Console(width=UNBOUNDED)
    return Measurement.get(console, console.options, table).minimum


def print_title(console: Console, title: str, style: str = TITLE) -> None:
    """Print a table's title above it: the title of a `Table` would be broken at the table's width.

    In a pipe or a file, where somebody may look for it, it is in one line.
    """
    console.print(Text(title, style=style), soft_wrap=not console.is_terminal)
