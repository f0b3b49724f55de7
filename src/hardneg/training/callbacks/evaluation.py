"""Full-corpus evaluation: the test split before training, the dev split at epoch ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from jaxtyping import Float

from hardneg.retrieval.metrics import Metric, average, by_set, per_query
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.retriever import Retriever
from hardneg.retrieval.test_sets import TestSet
from hardneg.training.base import TrainingModule, ends_now
from hardneg.training.callbacks.moving_average import averaged

Values = dict[str, Float[np.ndarray, " Q"]]  # metric -> value by query


class Evaluate(L.Callback):
    """Rank all documents exactly, or again what a first stage found, and log `val/<metric>`.

    Of several data sets in one that is the mean over them, beside `val/<set>/<metric>`.

    Runs inside `fit`, where all ranks share the work, and at an epoch's end before the checkpoint callbacks, so that
    the best checkpoint is chosen by it. A moving average of the weights, where one is kept, is what is evaluated: it is
    what checkpoints hold. `tests` are the sets that the run ends with; with `test_before` they are tested before the
    first step too.
    """

    def __init__(
        self,
        retriever: Retriever | Reranker,
        dev: str | None,
        tests: Sequence[TestSet],
        test_before: bool,
        metrics: Sequence[Metric],
        depth: int,
        every_n_epochs: int,
    ) -> None:
        self.retriever, self.dev, self.tests, self.test_before = retriever, dev, tests, test_before
        self.metrics, self.depth, self.every_n_epochs = metrics, depth, every_n_epochs
        self.history: list[dict[str, int | float]] = []
        self.before: list[Values] = []  # of each test set; empty where none was tested
        self.latest: Values = {}  # dev, query by query

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Test the untrained model, and start the dev curve at step 0; a resumed run has both already."""
        if trainer.global_step > 0 or not (self.test_before and self.tests):
            return
        own = [one.split for one in self.tests if one.retriever is self.retriever]
        values = self._values(trainer, pl_module, [*own, self.dev])
        for one in self.tests:
            if one.retriever is self.retriever:
                self.before.append(values[one.split])
            else:
                self.before.append(self._values(trainer, pl_module, [one.split], one.retriever)[one.split])
        if self.dev is not None:
            means = self._note(trainer, values[self.dev])
            for logger in trainer.loggers:
                logger.log_metrics(means, step=0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate on dev and log."""
        if self.dev is None or ((trainer.current_epoch + 1) % self.every_n_epochs and not ends_now(trainer)):
            return
        # The same on every rank, so there is nothing to reduce.
        pl_module.log_dict(self._note(trainer, self._values(trainer, pl_module, [self.dev])[self.dev]), sync_dist=False)

    def _values(
        self,
        trainer: L.Trainer,
        trained: L.LightningModule,
        splits: list[str | None],
        retriever: Retriever | Reranker | None = None,
    ) -> dict[str, Values]:
        """The metrics of every query, by split; of the run's own data, or what another `retriever` ranks."""
        module = averaged(trainer) or trained
        assert isinstance(module, TrainingModule)
        retriever = retriever or self.retriever
        data = retriever.data
        runs = retriever.runs(module.ranker, [split for split in splits if split is not None], self.depth)
        return {split: per_query(run, data.split(split), data, self.metrics) for split, run in runs.items()}

    def _note(self, trainer: L.Trainer, values: dict[str, np.ndarray]) -> dict[str, float]:
        data, queries = self.retriever.data, self.retriever.data.split(str(self.dev)).query_rows
        means = {f"val/{name}": average(value, queries, data) for name, value in values.items()}
        if data.mixed:
            for name, value in values.items():
                means |= {f"val/{part}/{name}": mean for part, mean in by_set(value, queries, data).items()}
        self.history.append({"step": trainer.global_step, **means})
        self.latest = values
        return means

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run could not compute again: the dev curve and the test before training."""
        before = [_tensors(values) for values in self.before]
        # One set's is written as it was when there was only one.
        return {
            "history": list(self.history),
            "before": before if len(before) > 1 else next(iter(before), None),
            "latest": _tensors(self.latest),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them up."""
        self.history = state_dict["history"]
        before = state_dict["before"]
        kept = [before] if isinstance(before, dict) else before or []
        self.before = [_arrays(values) for values in kept]
        self.latest = _arrays(state_dict["latest"])


def _tensors(values: Values) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in values.items()}


def _arrays(values: Mapping[str, torch.Tensor]) -> Values:
    return {name: value.numpy() for name, value in values.items()}


def measured_now(trainer: L.Trainer) -> bool:
    """Whether the dev split was evaluated at this very step."""
    histories = [callback.history for callback in trainer.callbacks if isinstance(callback, Evaluate)]  # type: ignore[attr-defined]
    return any(history and history[-1]["step"] == trainer.global_step for history in histories)
