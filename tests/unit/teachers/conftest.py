"""What tests of other encoders' vectors share."""

from __future__ import annotations

import pytest


@pytest.fixture
def counted(monkeypatch):
    """How many texts are embedded."""
    from hardneg.retrieval import embed_tables, model

    seen = []

    def embed(towers, table, side, precision, rows, bar):
        seen.append(len(rows))
        return embed_tables.embed_rows(towers, table, side, precision, rows, bar)

    monkeypatch.setattr(model, "embed_rows", embed)
    return seen
