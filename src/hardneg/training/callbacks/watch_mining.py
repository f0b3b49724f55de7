"""Watching the mined lists and what training makes of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from hardneg.data.training_set import TrainingSet
from hardneg.mining import alarm_rules
from hardneg.mining.alarm_rules import Thresholds
from hardneg.mining.audit import SuspiciousNegative, as_markdown, hardest, suspicious
from hardneg.mining.bm25 import BM25
from hardneg.mining.known_positives_found import BesideBM25
from hardneg.negatives.stored import Stored
from hardneg.retrieval.metrics import average
from hardneg.runs.folder import AUDIT
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.raise_alarms import raise_alarms
from hardneg.training.trainer_state import just_logged
from hardneg.training.write_row import write_row

log = logging.getLogger(__name__)


class Alarms(L.Callback):
    """Raise an alarm (screen, log, `alarms/<source>/<name>`, `wandb.alert`) when mining goes wrong.

    Looks at every new list, at the loss of each source's negatives over a round, and at the dev metrics before and
    after it, paired by query; compares what a miner finds of the known positives with what BM25 does (`beside`). A
    significant drop is followed by an audit of the negatives most likely to be false, as `audit_step_N.md` in the run
    folder and as a W&B table. Samples of every new list are the table `mined/<source>`.
    Comes before `Remine`, so that what it judges at an epoch's end are the lists that the epoch was trained on.
    """

    def __init__(
        self,
        sources: Mapping[str, Stored],
        evaluate: Evaluate,
        training: TrainingSet,
        folder: Path,
        thresholds: Thresholds,
        metrics: list[str],
        beside: BesideBM25 | None,
    ) -> None:
        self.sources, self.evaluate, self.training = dict(sources), evaluate, training
        self.folder, self.at, self.metrics = folder, thresholds, metrics
        self.beside = beside
        self.seen: dict[str, str] = {}
        self.before: dict[str, np.ndarray] = {}
        self.losses: dict[str, list[float]] = {name: [] for name in sources}

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Look at lists that are new: Remine has mined since the last batch, or the run begins."""
        for name, source in self.sources.items():
            store = source.store
            if store is None or self.seen.get(name) == store.folder.name:
                continue
            self.seen[name], self.losses[name] = store.folder.name, []
            self.before = {k: v for k, v in self.evaluate.latest.items() if k in self.metrics}
            raise_alarms(trainer, name, alarm_rules.of_lists(name, source.report(), self.at))
            if self.beside is not None and not isinstance(source.miner, BM25):
                miner, bm25 = self.beside.recalls(store, source.depth, source.documents)
                write_row(trainer, {f"mining/{name}/recall_of_bm25": float(bm25.mean())})
                raise_alarms(trainer, name, alarm_rules.beside_bm25(miner, bm25, self.at))
            self._show(trainer, f"mined/{name}", hardest(store, self.training, source.pool, self.at.samples))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Collect the losses by source, as often as they are logged; judge an evaluation within an epoch."""
        if just_logged(trainer):
            for name, losses in self.losses.items():
                value = trainer.callback_metrics.get(f"negatives/{name}/loss")
                if value is not None and math.isfinite(value):
                    losses.append(float(value))
        if self.evaluate.just_measured and (changes := self._judge(trainer)):
            write_row(trainer, {"epoch": trainer.current_epoch + 1, **changes})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Judge the round so far, by the losses and the change in the dev metrics."""
        for name, losses in self.losses.items():
            if not math.isnan(change := alarm_rules.fall(losses)):
                pl_module.log(f"negatives/{name}/loss_change", change)
            raise_alarms(trainer, name, alarm_rules.of_loss(losses, self.at))
        if self.evaluate.just_measured:
            pl_module.log_dict(self._judge(trainer))

    def _judge(self, trainer: L.Trainer) -> dict[str, float]:
        """Compare dev with what it was before the round; return the changes."""
        changes, dropped = {}, []
        for metric, before in self.before.items():
            after = self.evaluate.latest[metric]
            data = self.training.data
            rows = data.split(str(self.evaluate.dev)).query_rows
            changes[f"mining/change/{metric}"] = average(after - before, rows, data)
            dropped += alarm_rules.of_metric(metric, before, after, self.at)
        raise_alarms(trainer, "dev", dropped)
        if dropped and trainer.is_global_zero:
            self._audit(trainer)
        return changes

    def _show(self, trainer: L.Trainer, key: str, findings: list[SuspiciousNegative]) -> None:
        """Log findings as a table, where a logger has tables."""
        if not trainer.is_global_zero or not findings:
            return
        for logger in trainer.loggers:
            if table := getattr(logger, "log_table", None):
                table(key, columns=list(asdict(findings[0])), data=[list(asdict(one).values()) for one in findings])

    def _audit(self, trainer: L.Trainer) -> None:
        parts = []
        for name, source in self.sources.items():
            if source.store is None:
                continue
            found = suspicious(source.store, self.training, source.pool, self.at.samples)
            parts.append(as_markdown(f"{name}: kept, and closest to their positive or above it", found))
            self._show(trainer, f"audit/{name}", found)
        path = self.folder / AUDIT.format(trainer.global_step)
        path.write_text("\n".join(parts), encoding="utf-8")
        log.warning("audit of the likeliest false negatives: %s", path)

    def state_dict(self) -> dict[str, Any]:
        """The lists that were looked at, the dev metrics before them, and the losses since."""
        before = {name: torch.from_numpy(values) for name, values in self.before.items()}
        return {"seen": dict(self.seen), "before": before, "losses": {k: list(v) for k, v in self.losses.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved of the sources and dev metrics that this run has too."""
        self.seen, losses = state_dict["seen"], state_dict["losses"]
        self.losses = {name: losses.get(name, []) for name in self.sources}
        before, known = state_dict["before"], self.evaluate.latest  # which that callback has taken up before
        self.before = {name: values.numpy() for name, values in before.items() if name in known}
