"""Taking a curriculum through the training: pace, temperatures, sources that rest, and a record of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import STEP_OUTPUT

from hardneg.negatives.base import OfflineSource
from hardneg.negatives.curriculum import Curriculum
from hardneg.system import collectives
from hardneg.training.module import DualEncoder
from hardneg.training.trainer_state import just_logged


class FollowCurriculum(L.Callback):
    """Tell the curriculum how long the run is and what is measured; set what is not drawn; log `curriculum/...`.

    What is drawn is the dataset's business: it shares the curriculum's pace, and reads it at each batch's number. Where
    every epoch is the first one again (`held`, see `SameBatches`), so is its part of the curriculum.
    """

    def __init__(self, curriculum: Curriculum, sources: Mapping[str, OfflineSource]) -> None:
        self.curriculum, self.sources = curriculum, dict(sources)
        self.held = False
        self.reports: dict[str, tuple[int, dict[str, float]]] = {}
        self.known: dict[str, float] = {}  # the last value of each metric that the pace reads

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Plan the run; comes before the first batch is drawn."""
        self.curriculum.pace.plan(planned_batches(trainer))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set temperatures, and which online sources rest."""
        assert isinstance(pl_module, DualEncoder)
        progress = self._progress(trainer, batch_idx)
        for name, value in self.curriculum.temperatures(progress).items():
            pl_module.losses[name].set_temperature(value)
        pl_module.resting = self.curriculum.resting(progress, pl_module.sources)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Log, and let the pace look at what was measured, as often as that is logged."""
        if not just_logged(trainer):
            return
        pl_module.log_dict(self.curriculum.numbers(self._progress(trainer, batch_idx)))
        pace = self.curriculum.pace
        if pace.watched and not self.held:
            logged: dict[str, Any] = {**trainer.callback_metrics, **self._lists()}
            # What is not measured at every step keeps its last value, also over a resume: Lightning forgets it there.
            means = {name: collectives.mean(float(logged.get(name, math.nan))) for name in pace.watched}
            self.known |= {name: mean for name, mean in means.items() if not math.isnan(mean) or name in logged}
            pace.watch(self.known, trainer.global_step)

    def _progress(self, trainer: L.Trainer, batch_idx: int) -> float:
        epoch = 0 if self.held else trainer.current_epoch
        batch = epoch * len(trainer.train_dataloader) + batch_idx  # type: ignore[arg-type]
        return self.curriculum.pace.progress(batch)

    def _lists(self) -> dict[str, float]:
        """How the mined lists came out; looked at again only when they are new."""
        for name, source in self.sources.items():
            if self.reports.get(name, (-1, {}))[0] != source.version:
                self.reports[name] = (source.version, source.report())
        return {f"mining/{name}/{key}": value for name, (_, of) in self.reports.items() for key, value in of.items()}

    def state_dict(self) -> dict[str, Any]:
        """Where the pace is, and what it knows."""
        return {"pace": self.curriculum.pace.state(), "known": dict(self.known)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved."""
        self.curriculum.pace.restore(state_dict["pace"])
        self.known = dict(state_dict["known"])


def planned_batches(trainer: L.Trainer) -> int:
    """The batches that the run will have, by its epochs or its optimiser steps, whichever are fewer."""
    limits, length = [], len(trainer.train_dataloader)  # type: ignore[arg-type]
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        limits.append(trainer.max_epochs * length)
    if trainer.max_steps >= 0:
        # An epoch's last window of accumulated batches may be a short one.
        epochs, steps = divmod(trainer.max_steps, -(-length // trainer.accumulate_grad_batches))
        limits.append(epochs * length + steps * trainer.accumulate_grad_batches)
    return max(min(limits), 1)
