"""A trial of a search that ends early: its dev evaluations are told to Optuna, whose pruner compares trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from hardneg.runs import status
from hardneg.runs.study import open_study
from hardneg.system import distributed
from hardneg.training.callbacks.evaluation import Evaluate, measured_now, measured_within


def trial_of(folder: Path) -> Any:
    """Return the trial that the run in this folder is, if it is one of a search that prunes; else None."""
    of_search = (status.read(folder) or {}).get("search")
    if not of_search or of_search["pruner"] == "none":
        return None
    import optuna

    study = open_study(of_search, folder.parent)
    (found,) = (one for one in study.get_trials(deepcopy=False) if one.number == of_search["trial"])

    return optuna.trial.Trial(study, found._trial_id)


class Prune(L.Callback):
    """Report every dev evaluation after the first step, and stop the run where the pruner says so."""

    def __init__(self, trial: Any, evaluate: Evaluate, metric: str) -> None:
        self.trial, self.evaluate, self.metric = trial, evaluate, metric
        self.pruned, self.told = False, -1

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Report an evaluation within an epoch."""
        if measured_within(trainer):
            self._report(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report one at its end."""
        if measured_now(trainer):
            self._report(trainer)

    def _report(self, trainer: L.Trainer) -> None:
        point = self.evaluate.history[-1]
        if self.told == trainer.global_step or self.pruned:
            return
        self.told = trainer.global_step
        number = sum(one["step"] > 0 for one in self.evaluate.history)  # pruners compare the n-th of each trial

        def ask() -> bool:
            self.trial.report(float(point[f"val/{self.metric}"]), number)
            return bool(self.trial.should_prune())

        if distributed.first(ask):
            self.pruned = trainer.should_stop = True
