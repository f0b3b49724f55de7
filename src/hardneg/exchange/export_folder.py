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
