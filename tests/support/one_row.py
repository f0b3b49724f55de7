"""One row of what a batch of one draws, for tests that look at single rows."""

from __future__ import annotations

from types import SimpleNamespace

from hardneg.data.sampler import Place


def one_row(rows, *place):
    """The query, documents, sources and teacher's scores at a place: epoch, index and number of the batch."""
    drawn = rows.__getitems__([Place(*place)])
    first = {name: getattr(drawn, name)[0] for name in ("docs", "source", "teacher")}
    return SimpleNamespace(query=int(drawn.queries[0]), **first)
