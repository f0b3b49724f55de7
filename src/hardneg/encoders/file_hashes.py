"""Hashes of the files that hold weights and tokenizers: a folder that was damaged is not taken for the one written."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from hardneg.errors import ConfigError

HASHES = "SHA256SUMS"  # as `sha256sum -c SHA256SUMS` reads it
WEIGHTS = (".safetensors", ".bin")
TOKENIZER = ("tokenizer.json", "vocab.txt")


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
                    f"{path} is missing, though {folder / HASHES} names it; write or copy the folder anew"
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
