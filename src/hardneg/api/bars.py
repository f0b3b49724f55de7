"""A progress bar for calls from Python: on a terminal, and as a line of text in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hardneg.system.progress import Progress, notebook_progress, progress, silent


@contextmanager
def bar(total: int, what: str, shown: bool = True) -> Iterator[Progress]:
    """Show the progress, unless it is over at once."""
    if not shown:
        yield silent()
        return
    in_notebook = "ipykernel" in sys.modules and not sys.stderr.isatty()
    with notebook_progress(total, what, "texts") if in_notebook else progress(total, what, "texts") as counted:
        yield counted
