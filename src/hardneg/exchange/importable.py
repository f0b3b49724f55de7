"""A first look at a folder that is to be imported, before the slow modules that read it are loaded."""

from __future__ import annotations

from pathlib import Path

from hardneg.encoders.sentence_transformers_names import MODULES
from hardneg.errors import ConfigError

CONFIG = "config.json"  # every folder of sentence-transformers or of model2vec has this, or the list of modules


def check_importable(folder: Path) -> None:
    """Raise `ConfigError` for a folder that is neither sentence-transformers' nor model2vec's by its files' names."""
    if not any((folder / name).is_file() for name in (MODULES, CONFIG)):
        raise unknown(folder)


def unknown(folder: Path) -> ConfigError:
    """Say that a folder is of neither kind."""
    return ConfigError(f"{folder} is not a sentence-transformers folder (it has no {MODULES}), nor one of model2vec")
