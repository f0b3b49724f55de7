"""How wide a table must be, so that a terminal that is narrower gets another one and not a cropped one."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

UNBOUNDED = 100_000  # columns: a console's own measure is cut to its width


def least_width(table: Table) -> int:
    """Return the columns of a terminal that a table takes where all is broken that it allows to be broken."""
    console = Console(width=UNBOUNDED)
    return Measurement.get(console, console.options, table).minimum
