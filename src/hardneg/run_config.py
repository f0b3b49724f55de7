"""What a run folder's config says: read back, and the data that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg import configs
from hardneg.data.tables import RetrievalData
from hardneg.errors import UserError


def read_config(folder: str | Path) -> Any:
    """Return the config that a run was started with; raises `UserError` for a folder without one."""
    written = Path(folder) / ".hydra" / "config.yaml"
    if not written.is_file():
        raise UserError(f"{folder} is no run folder: it has no .hydra/config.yaml")
    configs.register_resolvers()
    return OmegaConf.load(written)


def open_data(folder: str | Path) -> RetrievalData:
    """Load the data set of a run again: texts, queries and judgements by split."""
    return configs.build(read_config(folder).data).load()
