"""The parts of a sentence-transformers folder, by their names and ours, and writing an export's folder safely."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardneg.encoders.sentence_transformers_folder import (
    MODULES,
    POOLING_FLAGS,
    POOLING_MODES,
    ROUTER,
    SETTINGS,
    TRANSFORMER,
    WEIGHTS,
)
from hardneg.errors import ConfigError

__all__ = [
    "MODULES",
    "POOLING_FLAGS",
    "POOLING_MODES",
    "ROUTER",
    "SETTINGS",
    "TOWER_TYPES",
    "TRANSFORMER",
    "TYPES",
    "WEIGHTS",
]

# The modules that we write, by names that every version of sentence-transformers can read.
TYPES = {
    name: f"sentence_transformers.models.{name}"
    for name in ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding", "Router")
}
TOWER_TYPES = ("Transformer", "StaticEmbedding")  # first module of a chain: for a transformer, for a static tower


@contextmanager
def export_folder(folder: Path, force: bool, by_force: str = "--force") -> Iterator[Path]:
    """Yield a temporary folder to write to, which replaces `folder` once it is complete.

    `by_force` is what the user writes to set `force`. Raises `ConfigError` for a folder that holds something other than
    an export, or that holds an export if `force` is not set.
    """
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not force:
        raise ConfigError(f"{folder} is not empty; choose another folder, or give {by_force} to replace an export")
    if used and not (folder / MODULES).is_file():
        raise ConfigError(f"{folder} holds something other than an export (no {MODULES}); choose another folder")
    target = folder.resolve()
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if target.exists():
            shutil.rmtree(target)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
