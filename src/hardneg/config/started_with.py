"""What a run's folder says it was started with, as Hydra has written it there: its config, its words, Hydra's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIG, WORDS, HYDRA = (f".hydra/{name}.yaml" for name in ("config", "overrides", "hydra"))
MAY_CHANGE = ("batch_size", "encoder.lr")  # whose defaults are measured anew; a resumed run keeps what it began with


def config_of(folder: Path) -> Any:
    """Return the config, unresolved; None in a folder without one."""
    return OmegaConf.load(folder / CONFIG) if (folder / CONFIG).is_file() else None


def words_of(folder: Path) -> list[str]:
    """Return the words of the command line; none in a folder that holds none."""
    return [str(word) for word in OmegaConf.load(folder / WORDS)] if (folder / WORDS).is_file() else []


def of_hydra(folder: Path, key: str) -> Any:
    """Return a value of Hydra's own config, such as `hydra.runtime.cwd`; None in a folder without one."""
    return OmegaConf.select(OmegaConf.load(folder / HYDRA), key) if (folder / HYDRA).is_file() else None
