"""Whether files that hold weights are as they were written: a damaged one would be taken, and rank at random.

A checkpoint of torch is a zip file with a checksum (CRC-32) of each of its parts, which `torch.load` does not look at:
those are verified, so that files of any age are protected, and writing costs nothing. Verifying takes well under a
second a GB. Folders of safetensors have no checksums, so hashes are written beside them.
"""

from __future__ import annotations

import functools
import zipfile
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from hardneg.errors import ConfigError

HASHES = "SHA256SUMS"  # as `sha256sum -c SHA256SUMS` reads it
WEIGHTS = (".safetensors", ".bin")
TOKENIZER = ("tokenizer.json", "vocab.txt")


def check_intact(path: Path, key: str) -> None:
    """Raise `ConfigError` for a checkpoint with a part that is not what was written; `key` is what the config calls it.

    Each state of a file is looked at once in a process. What is no zip file (torch before 1.6) has no checksums.
    """
    if path.is_file() and (part := _damaged(path.resolve(), path.stat().st_size, path.stat().st_mtime_ns)):
        raise ConfigError(
            f"{key}={path} is damaged: {part} in it is not what was written (its checksum differs); copy it again, or"
            " take another checkpoint, such as last.ckpt beside best.ckpt"
        )


@functools.cache
def _damaged(path: Path, size: int, modified: int) -> str | None:
    """The first part of a zip file that differs from its checksum; None where there is none."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError):
        return "the list of its parts"


def write_hashes(folder: Path) -> None:
    """Write the hashes of all weights and tokenizers in a folder and below it, beside them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and _counts(path))
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / HASHES).write_text("".join(lines), encoding="utf-8")


def check_hashes(folder: Path, endings: Iterable[str] = (*WEIGHTS, *TOKENIZER)) -> None:
    """Raise `ConfigError` for a file that is not as it was written; nothing is known of a folder without hashes.

    `endings` are those of the names that are looked at: reading a large model twice would cost as much again.
    """
    try:
        lines = (folder / HASHES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        written, _, name = line.partition("  ")
        if name.endswith(tuple(endings)):
            path = folder / name
            if not path.is_file():
                raise ConfigError(
                    f"{path} is missing, though {folder / HASHES} names it; write or copy the folder again"
                )
            if sha256_of(path) != written:
                raise ConfigError(
                    f"{path} is damaged: it is not what was written (its hash in {folder / HASHES} differs); write or"
                    f" copy the folder anew, or, if you changed the file yourself, take its line out of {HASHES}"
                )


def sha256_of(path: Path) -> str:
    """Hash a file, in blocks."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _counts(path: Path) -> bool:
    return path.name.endswith((*WEIGHTS, *TOKENIZER))
