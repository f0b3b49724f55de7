"""How all figures look; none is drawn through pyplot, which would keep it, and whose backend is a notebook's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STYLE: dict[Any, Any] = {
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.labelsize": 9, "font.size": 9,
    "legend.frameon": False, "figure.dpi": 150, "svg.fonttype": "none", "pdf.fonttype": 42,
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Draw and save with our settings, and leave those of the process alone; also a decorator."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield
