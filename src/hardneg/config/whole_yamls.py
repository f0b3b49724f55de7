"""What Hydra writes into a run's folder is whole at any moment: a run that goes on is found by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra.core.utils
from omegaconf import OmegaConf

from hardneg.system.atomic_write import atomic_write


def write_whole() -> None:
    """Have Hydra replace each of its files in one step.

    It writes them anew when a run goes on, and empties a file before it composes the text: stopped in between, the run
    had lost the words that it was begun with, and could not go on.
    """
    hydra.core.utils._save_config = _save


def _save(cfg: Any, filename: str, output_dir: Path) -> None:
    output_dir.mkdir(parents=True, exist_ok=True)
    with atomic_write(output_dir / filename) as draft:
        OmegaConf.save(cfg, draft)
