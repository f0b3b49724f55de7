"""Saying which mined lists a run draws from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L

from hardneg.negatives.stored import Stored
from hardneg.runs.drawn_stores import note_store


class NoteStores(L.Callback):
    """Note every store in `stores.jsonl` of the run folder when training begins to draw from it, and tell the loggers.

    Comes before `Remine`, which may forget the store when it mines the next.
    """

    def __init__(self, sources: Mapping[str, Stored], folder: Path) -> None:
        self.sources, self.folder = dict(sources), folder
        self.seen: dict[str, str] = {}

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Note what is new since the last batch."""
        for name, source in self.sources.items():
            store = source.store
            if store is None or self.seen.get(name) == store.folder.name:
                continue
            self.seen[name] = store.folder.name
            if not trainer.is_global_zero:
                continue
            mined = note_store(self.folder, name, store.folder.name, trainer.global_step, store.new)
            for logger in trainer.loggers:
                if keep := getattr(logger, "log_store", None):
                    keep(name, store.folder, store.card, mined)
