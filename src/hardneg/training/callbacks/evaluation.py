"""Evaluation during training: the test split before it, the dev split every n epochs or optimiser steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import lightning as L
import numpy as np
import torch
from jaxtyping import Float

from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import Metric, QueryRankings, average, by_set, names_of, per_query
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.retriever import Retriever
from hardneg.retrieval.test_sets import TestSet
from hardneg.system import distributed
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.moving_average import averaged
from hardneg.training.dev_subset import Chooser, DevSubset, correlations
from hardneg.training.trainer_state import at_a_step, ends_now
from hardneg.training.write_row import write_row

log = logging.getLogger(__name__)

Values = dict[str, Float[np.ndarray, " Q"]]  # metric -> value by query


class Evaluate(L.Callback):
    """Rank all documents exactly, or again what a first stage found, and log `val/<metric>`.

    With several data sets in one this is the mean over them, beside `val/<set>/<metric>`.

    Dev is evaluated every `every_n_epochs`, or, where `every_n_steps` is given, at its multiples instead: optimiser
    steps, however many batches or ranks make one, within epochs and across them. The end of training is evaluated in
    either case. Runs inside `fit`, where all ranks share the work, and before the checkpoint callbacks, so that the
    best checkpoint is chosen by it. A moving average of the weights, where one is kept, is what is evaluated: it is
    what checkpoints hold. `tests` are the sets that the run ends with; with `test_before` they are tested before the
    first step too.

    With `choose` dev is ranked over a subset of the documents, chosen before the first step and kept by checkpoints;
    where that `compares`, at the first evaluation after it, and at the end (`compare_with_all`), over all as well, to
    see how far both agree.

    `since` is the step after which evaluations choose best.ckpt: 0, or where a run began from another run's checkpoint.

    `just_measured` says to the callbacks after this one whether dev was evaluated at the end of the batch, or of the
    epoch, that ends now: once an evaluation, also where an epoch ends with a batch after which it was.
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
        every_n_steps: int | None,
        choose: Chooser | None,
        best: str,
    ) -> None:
        self.retriever, self.dev, self.tests, self.test_before = retriever, dev, tests, test_before
        self.metrics, self.depth = metrics, depth
        self.every_n_epochs, self.every_n_steps = every_n_epochs, every_n_steps
        self.choose, self.best = choose, best
        self.subset: DevSubset | None = None
        self.agreed: list[dict[str, int | float | str]] = []  # subset and all documents, at two steps of the run
        self.choosing_seconds = 0.0  # how long it took to choose the subset
        self.history: list[dict[str, int | float]] = []
        self.since = 0
        self.just_measured = False
        self.before: list[Values] = []  # of each test set; empty where none was tested
        self.latest: Values = {}  # dev, query by query

    @property
    def best_point(self) -> dict[str, int | float] | None:
        """The evaluation that best.ckpt is of, of equal ones the first; None if there is none yet."""
        since = [point for point in self.history if point["step"] > self.since]
        return max(since, key=lambda point: point[f"val/{self.best}"], default=None)

    @property
    def compares(self) -> bool:
        """Whether a subset is compared with all documents."""
        return self.subset is not None and self.choose is not None and self.choose.compares

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the subset; test the untrained model, and start the dev curve at 0. A resumed run has all of it."""
        if self.choose is not None and self.subset is None and self.dev is not None:
            self._choose_subset(trainer, pl_module)
        if trainer.global_step == 0 and self.test_before and self.tests:
            self._start(trainer, pl_module)

    def _choose_subset(self, trainer: L.Trainer, trained: L.LightningModule) -> None:
        assert self.choose is not None and self.dev is not None
        began = time.perf_counter()
        depth, run = self.choose.size.model, None
        if depth:
            run = self.retriever.runs(self._ranker(trainer, trained), [self.dev], depth)[self.dev]
        self.subset = self.choose(run)
        self.choosing_seconds = time.perf_counter() - began
        if trainer.is_global_zero:
            log.info("dev is ranked over %s in training; tests are over all", self.subset.told())

    def _start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Test, and note the first point of the dev curve."""
        ranker = self._ranker(trainer, pl_module)
        own = [one.split for one in self.tests if one.retriever is self.retriever]
        together = [self.dev] if self.dev is not None and self.subset is None else []
        whole = self.retriever.runs(ranker, [*own, *together], self.depth)
        for one in self.tests:
            if one.retriever is self.retriever:
                run = whole[one.split]
            else:
                run = one.retriever.runs(ranker, [one.split], self.depth)[one.split]
            self.before.append(per_query(run, one.data.split(one.split), one.data, self.metrics))
        if self.dev is not None:
            means = self._note(trainer, self._measured(whole[self.dev] if together else self._dev_run(ranker)))
            write_row(trainer, means, step=0)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Evaluate on dev and log where it is due within an epoch."""
        self.just_measured = self._due_within(trainer)
        if self.just_measured:
            means = self.measure(trainer, pl_module)
            pl_module.log_dict(means, logger=False)  # for callbacks; Lightning writes rows at steps of its own only
            write_row(trainer, {"epoch": trainer.current_epoch + 1, **means})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate on dev and log where it is due at an epoch's end."""
        self.just_measured = self._due_at_the_end(trainer)
        if self.just_measured:
            # The same on every rank, so there is nothing to reduce.
            pl_module.log_dict(self.measure(trainer, pl_module), sync_dist=False)

    def _due_within(self, trainer: L.Trainer) -> bool:
        """Whether dev is to be evaluated after this batch; after an epoch's last this waits for its end."""
        if self.dev is None or not self.every_n_steps or trainer.is_last_batch or not at_a_step(trainer):
            return False
        return trainer.global_step % self.every_n_steps == 0

    def _due_at_the_end(self, trainer: L.Trainer) -> bool:
        """Whether it is to be evaluated at this epoch's end, and was not at this very step."""
        if self.dev is None or (self.history and self.history[-1]["step"] == trainer.global_step):
            return False
        done, every = trainer.current_epoch + 1, self.every_n_epochs
        if self.every_n_steps:
            done, every = trainer.global_step, self.every_n_steps
        return done % every == 0 or ends_now(trainer)

    def measure(self, trainer: L.Trainer, trained: L.LightningModule) -> dict[str, float]:
        """Evaluate on dev now, and note it; return the means."""
        ranker = self._ranker(trainer, trained)
        values = self._measured(self._dev_run(ranker))
        if self.compares and not self.agreed:
            self._compare(trainer.global_step, ranker, values)
        means = self._note(trainer, values)
        if self.subset is None and self.best_point is self.history[-1]:
            self.retriever.keep_vectors()  # the run ends with testing the best weights
        return means

    def compare_with_all(self, module: TrainingModule, step: int) -> dict[str, float]:
        """Rank dev over the subset and over all documents with the weights of a step; return the means over all."""
        return self._compare(step, module.ranker, self._measured(self._dev_run(module.ranker)))

    def _compare(self, step: int, ranker: Any, subset: Values) -> dict[str, float]:
        data, queries = self.retriever.data, self.retriever.data.split(str(self.dev)).query_rows
        whole = self.measure_over_all(ranker)
        means = {name: average(values, queries, data) for name, values in whole.items()}
        one = average(subset[self.best], queries, data)
        found = correlations(subset[self.best], whole[self.best])
        both: dict[str, int | float | str] = {"subset": one, "all": means[self.best], **found}
        self.agreed.append({"step": step, "metric": self.best, **both})
        if distributed.rank() == 0:
            log.info(
                "dev %s at step %d: %.4f on the subset, %.4f on all documents; of queries Pearson %.3f, Kendall %.3f",
                *(self.best, step, *both.values()),
            )
        return means

    def measure_over_all(self, ranker: Any) -> Values:
        """The metrics of every dev query over all documents, whatever dev is ranked over in training."""
        return self._measured(self._dev_run(ranker, all_documents=True))

    def _dev_run(self, ranker: Any, all_documents: bool = False) -> QueryRankings:
        dev = str(self.dev)
        if self.subset is None or all_documents or isinstance(self.retriever, Reranker):
            return self.retriever.runs(ranker, [dev], self.depth)[dev]
        return self.retriever.runs(ranker, [dev], self.depth, self.subset.rows)[dev]

    def _measured(self, run: QueryRankings) -> Values:
        """The metrics of every dev query."""
        data = self.retriever.data
        return per_query(run, data.split(str(self.dev)), data, self.metrics)

    def _ranker(self, trainer: L.Trainer, trained: L.LightningModule) -> Any:
        module = averaged(trainer) or trained
        assert isinstance(module, TrainingModule)
        return module.ranker

    def _note(self, trainer: L.Trainer, values: Values) -> dict[str, float]:
        data, queries = self.retriever.data, self.retriever.data.split(str(self.dev)).query_rows
        means = {f"val/{name}": average(value, queries, data) for name, value in values.items()}
        if data.mixed:
            for name, value in values.items():
                means |= {f"val/{part}/{name}": mean for part, mean in by_set(value, queries, data).items()}
        self.history.append({"step": trainer.global_step, **means})
        self.latest = values
        return means

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run could not compute again: the dev curve, the test before training, the subset."""
        before = [_tensors(values) for values in self.before]
        state: dict[str, Any] = {"history": list(self.history), "before": before, "latest": _tensors(self.latest)}
        state["since"], state["measured"] = self.since, self._what_is_measured
        if self.subset is not None:
            rows = torch.from_numpy(self.subset.rows)
            state["subset"] = {"rows": rows, "counts": dict(self.subset.counts), "of": self.subset.of}
            state["agreed"] = list(self.agreed)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved, where another run's checkpoint has measured it as this run does.

        Raises `ConfigError` for a state that is written in another way.
        """
        if "measured" not in state_dict or not isinstance(state_dict["before"], list):
            raise ConfigError(
                "the checkpoint is of a hardneg before its first release, and runs of those cannot go on; begin a new"
                " run, with its weights by init_from=CHECKPOINT"
            )
        self.since = state_dict["since"]
        measured, measures = state_dict["measured"], self._what_is_measured
        if measured["tests"] == measures["tests"]:
            self.before = [_arrays(values) for values in state_dict["before"]]
        if measured["dev"] != measures["dev"]:
            return
        self.history, self.latest = state_dict["history"], _arrays(state_dict["latest"])
        if (subset := state_dict.get("subset")) is not None:
            self.subset = DevSubset(subset["rows"].numpy(), subset["counts"], subset["of"])
            self.agreed = state_dict["agreed"]

    @cached_property
    def _what_is_measured(self) -> dict[str, list[Any]]:
        """What decides which numbers can be compared, as plain values: metrics, queries, and documents."""
        names, data = names_of(self.metrics), self.retriever.data
        documents = None if self.choose is None else vars(self.choose.size)
        return {
            "dev": [names, None if self.dev is None else data.fingerprint(self.dev), documents],
            "tests": [names, *(one.data.fingerprint(one.split) for one in self.tests)],
        }


def _tensors(values: Values) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in values.items()}


def _arrays(values: Mapping[str, torch.Tensor]) -> Values:
    return {name: value.numpy() for name, value in values.items()}
