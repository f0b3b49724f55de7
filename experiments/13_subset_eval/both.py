"""A callback for this study: rank dev over the subset and over all documents at every evaluation, and time both."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import lightning as L

from hardneg.retrieval.metrics import per_query
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.dev_subset import correlations


class Both(L.Callback):
    """Write `both.json` into the run's folder: of each evaluation the metric over each, and the seconds."""

    def __init__(self, metric: str = "ndcg@10") -> None:
        self.metric = metric
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: object) -> None:
        """Look at an evaluation within the epoch."""
        self._follow(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Look at one at its end."""
        self._follow(trainer, pl_module)

    def _follow(self, trainer: L.Trainer, module: Any) -> None:
        (evaluate,) = (one for one in trainer.callbacks if isinstance(one, Evaluate))  # type: ignore[attr-defined]
        if evaluate.just_measured:
            self._measure(trainer, module, evaluate)

    def _measure(self, trainer: L.Trainer, module: Any, evaluate: Evaluate) -> None:
        assert evaluate.subset is not None and evaluate.dev is not None
        retriever, dev = evaluate.retriever, evaluate.dev
        found, seconds = [], []
        for documents in (evaluate.subset.rows, None):
            started = time.perf_counter()
            run = retriever.runs(module.ranker, [dev], evaluate.depth, documents)[dev]
            seconds.append(time.perf_counter() - started)
            found.append(per_query(run, retriever.data.split(dev), retriever.data, [self.metric])[self.metric])
        row = {"step": trainer.global_step, "subset": float(found[0].mean()), "all": float(found[1].mean())}
        times = {"subset_seconds": seconds[0], "all_seconds": seconds[1], "documents": len(evaluate.subset.rows)}
        self.rows.append({**row, **correlations(*found), **times, "of": len(retriever.data.corpus)})
        Path(trainer.default_root_dir, "both.json").write_text(json.dumps(self.rows), encoding="utf-8")
