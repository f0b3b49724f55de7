"""Watching whether the model still tells texts apart."""

from __future__ import annotations

from typing import Any

import lightning as L

from hardneg.mining.alarm_rules import COSINES, Thresholds, of_embeddings
from hardneg.training.base import RANDOM_COSINE
from hardneg.training.callbacks.raise_alarms import raise_alarms
from hardneg.training.trainer_state import just_logged


class WatchCollapse(L.Callback):
    """Raise an alarm when random queries, or documents, are embedded alike; again only once that was over."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.at = thresholds
        self.cosines: dict[str, list[float]] = {"queries": [], "documents": []}
        self.told: dict[str, bool] = dict.fromkeys(self.cosines, False)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Look at the mean cosines as often as they are logged."""
        if self.at.random_cosine is None or not just_logged(trainer):
            return
        for of, cosines in self.cosines.items():
            if (value := trainer.callback_metrics.get(f"{RANDOM_COSINE}/{of}")) is None:
                continue
            cosines[:] = [*cosines, float(value)][-COSINES:]
            alarms = of_embeddings(of, cosines, self.at)
            if not self.told[of]:
                raise_alarms(trainer, of, alarms)
            self.told[of] = bool(alarms)

    def state_dict(self) -> dict[str, Any]:
        """The last cosines, and what an alarm has been raised for."""
        return {"cosines": {of: list(values) for of, values in self.cosines.items()}, "told": dict(self.told)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved."""
        self.cosines, self.told = state_dict["cosines"], state_dict["told"]
