"""Columns of texts that grow row by row in Arrow's memory."""

from __future__ import annotations

import pyarrow as pa

from hardneg.data.equal_texts import BLOCK


class ArrowColumns:
    """Takes in rows of `width` strings; few of them are Python strings at a time."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: list[tuple[str, ...]] = []
        self._blocks: list[list[pa.LargeStringArray]] = []

    def add(self, *row: str) -> None:
        """Take in a row."""
        self._rows.append(row)
        if len(self._rows) == BLOCK:
            self._pack()

    def _pack(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * self._width
        self._blocks.append([pa.array(column, pa.large_string()) for column in columns])
        self._rows = []

    def joined(self) -> list[pa.LargeStringArray]:
        """Return the columns, each in one piece, and forget them."""
        self._pack()
        blocks, self._blocks = self._blocks, []
        return [pa.concat_arrays(column) for column in zip(*blocks, strict=True)]
