"""Columns of texts that grow row by row in Arrow's memory, and on disk where they are large."""

from __future__ import annotations

import mmap
import tempfile

import numpy as np
import pyarrow as pa

from hardneg.data.equal_texts import BLOCK
from hardneg.errors import UserError
from hardneg.system.full_disk import temporary_folder

HELD_BYTES = 256 * 1024**2  # in memory; more go to a temporary file


class ArrowColumns:
    """Takes in rows of `width` strings, of which few are Python strings at a time.

    More than `HELD_BYTES` go to temporary files without a name (in TMPDIR), which are mapped in the end: memory grows
    by 8 bytes a string only. Raises `UserError` where the disk has no room for them.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: list[tuple[str, ...]] = []
        self._blocks: list[list[pa.LargeStringArray]] = []
        self._bytes = 0
        self._files: list[_File] = []

    def add(self, *row: str) -> None:
        """Take in a row."""
        self._rows.append(row)
        if len(self._rows) == BLOCK:
            self._pack()

    def _pack(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * self._width
        self._blocks.append([pa.array(column, pa.large_string()) for column in columns])
        self._rows = []
        self._bytes += sum(column.nbytes for column in self._blocks[-1])
        if self._bytes > HELD_BYTES:
            self._store()

    def _store(self) -> None:
        self._files = self._files or [_File() for _ in range(self._width)]
        for file, column in zip(self._files, zip(*self._blocks, strict=True), strict=True):
            for block in column:
                file.put(block)
        self._blocks, self._bytes = [], 0

    def joined(self) -> list[pa.LargeStringArray]:
        """Return the columns, each as one array, and forget them."""
        self._pack()
        if self._files and self._blocks:
            self._store()
        blocks, self._blocks, files, self._files = self._blocks, [], self._files, []
        if files:
            return [file.mapped() for file in files]
        return [pa.concat_arrays(column) for column in zip(*blocks, strict=True)]


class _File:
    """A column whose characters are on disk, and the ends of its strings in memory."""

    def __init__(self) -> None:
        try:
            self._letters = tempfile.TemporaryFile()  # noqa: SIM115  (it stays open until it is mapped)
        except OSError as error:
            raise _no_room(error) from error
        self._length = 0
        self._ends: list[np.ndarray] = [np.zeros(1, np.int64)]

    def put(self, strings: pa.LargeStringArray) -> None:
        """Append these, which begin where their buffers do."""
        _, ends, letters = strings.buffers()
        ends = np.frombuffer(ends, np.int64, len(strings) + 1)
        try:
            self._letters.write(memoryview(letters)[: ends[-1]] if letters is not None else b"")
            self._letters.flush()
        except OSError as error:
            raise _no_room(error) from error
        self._ends.append(ends[1:] + self._length)
        self._length += int(ends[-1])

    def mapped(self) -> pa.LargeStringArray:
        """Return the column; the file goes when it is no longer used."""
        ends = np.concatenate(self._ends)
        letters = mmap.mmap(self._letters.fileno(), self._length, access=mmap.ACCESS_READ) if self._length else b""
        self._letters.close()
        return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(letters))


def _no_room(error: OSError) -> UserError:
    return UserError(
        f"{temporary_folder()}: no room for the texts that are being read ({error.strerror}); free some, or set TMPDIR"
        " to a folder on a disk that has as much room as the data"
    )
