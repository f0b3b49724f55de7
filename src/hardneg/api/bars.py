"""A bar for what Python asks for: on a terminal, and as a line of text in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from hardneg.system.progress import Progress, progress, silent

DELAY = 1.0  # seconds before a bar is shown in a notebook, where it stays in the output


class _Line(Progress):
    """A bar in a notebook's output."""

    def __init__(self, total: int, what: str, line: tqdm) -> None:
        super().__init__(total, what, "texts")
        self.line = line

    def update(self, count: int = 1) -> None:
        super().update(count)
        self.line.update(count)


@contextmanager
def bar(total: int, what: str, shown: bool = True) -> Iterator[Progress]:
    """Show how far it is, unless it is over at once."""
    if not shown:
        yield silent()
    elif "ipykernel" in sys.modules and not sys.stderr.isatty():
        with tqdm(total=total, desc=what, unit=" texts", leave=False, delay=DELAY, file=sys.stdout) as line:
            yield _Line(total, what, line)
    else:
        with progress(total, what, "texts") as counted:
            yield counted
