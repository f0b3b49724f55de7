"""Arrays that are written row by row and never held: what is in memory is one block of rows."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0


class RowWriter(AbstractContextManager):
    """Writes a `.npy` file of `rows` rows, in blocks whose rows come in order; rows that none names hold `empty`.

    In a stream and not through a memory map, whose written pages would count as this process's memory.
    """

    def __init__(self, path: Path, rows: int, empty: float | int) -> None:
        self.path, self.rows, self.empty = path, rows, empty
        self.written = 0
        self._file: BinaryIO | None = None
        self._kind: tuple[np.dtype, tuple[int, ...]] = (np.dtype(np.float32), ())

    def put(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Write the values of these rows, which come after all before."""
        if self._file is None:
            self._kind = (values.dtype, values.shape[1:])
            self._file = self.path.open("wb")
            shape = (self.rows, *values.shape[1:])
            header = {"descr": dtype_to_descr(values.dtype), "fortran_order": False, "shape": shape}
            write_array_header_1_0(self._file, header)
        if not len(rows):
            return
        piece = self._blank(int(rows[-1]) + 1)
        piece[rows - self.written] = values
        self._write(piece)

    def __exit__(self, *error: object) -> None:
        """Fill up what is left of the rows."""
        if self._file is None:
            return
        with self._file:
            if error[0] is None:
                while self.written < self.rows:
                    self._write(self._blank(min(self.written + 65_536, self.rows)))

    def _blank(self, end: int) -> np.ndarray:
        kind, shape = self._kind
        return np.full((end - self.written, *shape), self.empty, kind)

    def _write(self, piece: np.ndarray) -> None:
        assert self._file is not None
        piece.tofile(self._file)
        self.written += len(piece)


class FlatWriter(AbstractContextManager):
    """Writes a `.npy` file of one dimension whose length is known at the end; memory holds what is put last."""

    def __init__(self, path: Path, kind: type[np.generic]) -> None:
        self.kind, self.length = np.dtype(kind), 0
        self._file = path.open("wb")
        self._head = self._header(2**62)  # as long as any other: headers are padded

    def _header(self, length: int) -> int:
        self._file.seek(0)
        header = {"descr": dtype_to_descr(self.kind), "fortran_order": False, "shape": (length,)}
        write_array_header_1_0(self._file, header)
        return self._file.tell()

    def put(self, values: np.ndarray) -> None:
        """Append these."""
        assert values.dtype == self.kind
        values.tofile(self._file)
        self.length += len(values)

    def __exit__(self, *error: object) -> None:
        """Say how many there are."""
        with self._file:
            assert self._header(self.length) == self._head
