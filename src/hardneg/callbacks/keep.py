"""Which checkpoints a run keeps: the last state and the best on dev."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

LAST, BEST = "last.ckpt", "best.ckpt"


def last_checkpoints(folder: Path, every_n_steps: int) -> list[ModelCheckpoint]:
    """Write last.ckpt every so many steps and at each epoch end; Lightning's callback can do only one of the two."""
    return [
        _Keep(dirpath=folder, filename="last", every_n_train_steps=every_n_steps),
        _Keep(dirpath=folder, filename="last", every_n_epochs=1, save_on_train_epoch_end=True),
    ]


def best_checkpoint(folder: Path, metric: str, every_n_epochs: int) -> ModelCheckpoint:
    """Write best.ckpt when the dev metric is the highest so far."""
    return _Keep(
        dirpath=folder,
        filename="best",
        monitor=f"val/{metric}",
        mode="max",
        every_n_epochs=every_n_epochs,
        save_on_train_epoch_end=True,
    )


class _Keep(ModelCheckpoint):
    """One file with one name: no version counters, and no metric (whose `=` would break Hydra's parser) in the name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(save_top_k=1, enable_version_counter=False, auto_insert_metric_name=False, **kwargs)
