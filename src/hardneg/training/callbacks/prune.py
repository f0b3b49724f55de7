"""A trial of a search that ends early: its dev evaluations are told to Optuna, whose pruner compares trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from hardneg.runs import status
from hardneg.runs.study import open_study
from hardneg.system import agreement
from hardneg.training.callbacks.after_evaluation import AfterEvaluation
from hardneg.training.callbacks.evaluation import Evaluate


def trial_of(folder: Path) -> Any:
    """Return the trial that the run in this folder is, if it is one of a search that prunes; else None."""
    of_search = (status.read(folder) or {}).get("search")
    if not of_search or of_search["pruner"] == "none":
        return None
    import optuna

    study = open_study(of_search, folder.parent)
    (found,) = (one for one in study.get_trials(deepcopy=False) if one.number == of_search["trial"])
    return optuna.trial.Trial(study, found._trial_id)


class Prune(AfterEvaluation):
    """Report every dev evaluation after the first step, and stop the run where the pruner says so."""

    def __init__(self, trial: Any, evaluate: Evaluate, metric: str) -> None:
        super().__init__()
        self.trial, self.evaluate, self.metric = trial, evaluate, metric
        self.pruned = False

    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report it, and ask."""
        if self.pruned:
            return
        point = self.evaluate.history[-1]
        number = sum(one["step"] > 0 for one in self.evaluate.history)  # pruners compare the n-th of each trial

        def ask() -> bool:
            self.trial.report(float(point[f"val/{self.metric}"]), number)
            return bool(self.trial.should_prune())

        if agreement.first(ask):
            self.pruned = trainer.should_stop = True
