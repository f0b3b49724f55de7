"""Columns that went to disk are those that stayed in memory."""

from __future__ import annotations

import pytest

from hardneg.data.readers import arrow_columns
from hardneg.data.readers.arrow_columns import ArrowColumns
from hardneg.data.tables import Texts
from hardneg.errors import UserError


def columns(rows, monkeypatch, held, block=4):
    monkeypatch.setattr(arrow_columns, "HELD_BYTES", held)
    monkeypatch.setattr(arrow_columns, "BLOCK", block)
    found = ArrowColumns(2)
    for row in rows:
        found.add(*row)
    return found.joined()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 23])
@pytest.mark.parametrize("held", [0, 100])
def test_what_went_to_disk_is_what_would_be_in_memory(count, held, monkeypatch):
    rows = [(f"d{i}", ["", "a", "é" * i, "字" * 9][i % 4]) for i in range(count)]
    on_disk, in_memory = (columns(rows, monkeypatch, limit) for limit in (held, 10**9))
    for one, other in zip(on_disk, in_memory, strict=True):
        assert one.equals(other) and one.type == other.type
        one.validate(full=True)
    assert Texts(*on_disk).fingerprint == Texts(*in_memory).fingerprint


def test_columns_without_a_letter(monkeypatch):
    ids, texts = columns([("", "")] * 9, monkeypatch, 0)
    assert ids.to_pylist() == texts.to_pylist() == [""] * 9


def test_a_full_disk_is_named_with_what_to_do(monkeypatch, tmp_path):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(arrow_columns.tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(arrow_columns.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"no room for the texts .*No space left on device.*TMPDIR"):
        columns([("a", "b")] * 5, monkeypatch, 0)
