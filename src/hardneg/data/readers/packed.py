"""Packed files: gz, bz2, xz and zst, recognised by their first bytes, not their names, are read as their content."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardneg.errors import DataError

ENDINGS = (".gz", ".bz2", ".xz", ".zst")
STARTS = {
    b"\x1f\x8b": "gz",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
}
SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # a frame of notes, with which pzstd begins (RFC 8878)
BZ2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")  # BZh alone may be text; the second form: empty
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)  # what reading raises for a damaged packed file


def unpacked_name(name: str) -> str:
    """Return the name that a file has once it is unpacked."""
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def packing(path: Path) -> str | None:
    """Say how a file is packed; None for one that is not, and for a pipe, which can only be read once.

    Raises `DataError` where it cannot be opened.
    """
    if not path.is_file():
        return None
    with _reading(path), path.open("rb") as stream:
        start = stream.read(10)
    if BZ2.match(start):
        return "bz2"
    if SKIPPED.match(start):
        return "zst"
    return next((kind for first, kind in STARTS.items() if start.startswith(first)), None)


def opened(path: Path) -> io.BufferedIOBase:
    """Open a file, or the content of a packed one; raises `DataError` where that is not possible."""
    kind = packing(path)
    if kind == "zip":
        raise DataError(f"{path}: this is an archive or a spreadsheet (zip); unpack it, or save it as CSV")
    if kind == "zst":
        import pyarrow as pa

        unpacked: Any = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
        return io.BufferedReader(unpacked)
    openers: dict[str | None, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    with _reading(path):
        stream: io.BufferedIOBase = openers.get(kind, open)(path, "rb")
    return stream


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); check that it is a file you may read") from None


@contextmanager
def for_arrow(path: Path) -> Iterator[Any]:
    """What pyarrow's readers of text are given: the path, which is faster, unless its ending would mislead them."""
    if packing(path) is None and unpacked_name(path.name) == path.name:
        yield path
        return
    with opened(path) as stream:
        yield stream


def position(stream: io.BufferedIOBase) -> int | None:
    """How many bytes of the file were read, for a packed one those on disk; None if unknown."""
    packed: Any = getattr(stream, "fileobj", None) or getattr(stream, "_fp", None)  # of gzip, and of bz2 and lzma
    if packed is not None:
        return int(packed.tell())
    return stream.tell() if isinstance(getattr(stream, "raw", None), io.FileIO) else None
