"""The folder of an export: complete or not there, and never in the place of something else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardneg.encoders.sentence_transformers_names import MODULES
from hardneg.errors import ConfigError


@contextmanager
def export_folder(folder: Path, force: bool, by_force: str = "--force") -> Iterator[Path]:
    """Yield a temporary folder to write to, which replaces `folder` once it is complete.

    `by_force` is what the user writes to set `force`. Raises `ConfigError` for a folder that holds something other than
    an export, or that holds an export if `force` is not set.
    """
    target = folder.resolve()
    unfinished, before = (target.with_name(f".{target.name}.{state}") for state in ("unfinished", "before"))
    _tidy(target, before)
    used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if used and not force:
        raise ConfigError(f"{folder} is not empty; choose another folder, or give {by_force} to replace an export")
    if used and not (folder / MODULES).is_file():
        raise ConfigError(f"{folder} holds something other than an export (no {MODULES}); choose another folder")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if target.exists():
            target.rename(before)  # removed only when the new one is there: half an export is of no use to anybody
        os.replace(unfinished, target)
    finally:
        _tidy(target, before)
        shutil.rmtree(unfinished, ignore_errors=True)


def _tidy(target: Path, before: Path) -> None:
    """Remove the export that was replaced, or bring it back where none has taken its place."""
    if before.exists() and not target.exists():
        before.rename(target)
    shutil.rmtree(before, ignore_errors=True)
