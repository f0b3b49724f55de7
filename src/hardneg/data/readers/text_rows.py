"""Collecting a table of texts row by row, in Arrow's memory and not in Python's."""

from __future__ import annotations

from array import array
from bisect import bisect_right

import numpy as np
import pyarrow as pa
import pyarrow.compute

from hardneg.data.equal_texts import by_appearance
from hardneg.data.readers.arrow_columns import ArrowColumns
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.tables import Texts


class TextRows:
    """Takes in ids and texts with the files and lines they come from; a repeated id makes a bad row."""

    def __init__(self, complaints: Complaints) -> None:
        self.complaints = complaints
        self.lines = array("q")
        self.files: list[str] = []
        self.starts: list[int] = []  # the first row of each file
        self._columns = ArrowColumns(2)

    def add(self, file: str, line: int, name: str, text: str) -> None:
        """Take in a row."""
        if not self.files or self.files[-1] != file:
            self.files.append(file)
            self.starts.append(len(self.lines))
        self.lines.append(line)
        self._columns.add(name, text)

    def texts(self) -> Texts:
        """Return the table; complains about ids that were used before, and leaves those rows out."""
        ids, texts = self._columns.joined()
        if pa.compute.count_distinct(ids).as_py() < len(ids):
            keep = self._firsts(ids)
            ids, texts = ids.filter(keep), texts.filter(keep)
        return Texts(ids, texts)

    def _firsts(self, ids: pa.LargeStringArray) -> pa.BooleanArray:
        number = by_appearance(ids.dictionary_encode().indices.to_numpy().astype(np.int64))
        _, first = np.unique(number, return_index=True)
        keep = np.zeros(len(ids), bool)
        keep[first] = True
        for row in np.flatnonzero(~keep).tolist():
            file, before = self._file_of(row), int(first[number[row]])
            earlier = self._file_of(before)
            where = self.complaints.row(earlier, self.lines[before]) + (f" of {earlier}" if earlier != file else "")
            what = f"id {ids[row].as_py()!r} was used in {where}"
            self.complaints.about(file, self.lines[row], BadRow("duplicate id", what, "give every row its own id"))
        return pa.array(keep)

    def _file_of(self, row: int) -> str:
        return self.files[bisect_right(self.starts, row) - 1]
