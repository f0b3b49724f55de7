"""How fast a run trains: queries and documents a second, by the wall clock."""

from __future__ import annotations

import time
from typing import Any

import lightning as L

from hardneg.matrix.batch import Rows
from hardneg.training.trainer_state import callbacks_of, logs_now

NAMES = ("queries", "documents")


class Throughput(L.Callback):
    """Log `train/queries_per_second` and `train/documents_per_second`, over all ranks, since the row before.

    Loading counts, and checkpoints within epochs; evaluation and mining do not: this comes before them, and `again`
    after them starts the clock again. Documents are the slots of a batch: its positives and drawn negatives. It reads
    only the clock and shapes, and so waits for no device; where a device lags behind, a row shows the host's rate,
    which evens out over the rows. Checkpoints hold what was counted, so that a resumed run counts on.
    """

    def __init__(self) -> None:
        self.seen = dict.fromkeys(NAMES, 0)  # since the last row
        self.total = dict.fromkeys(NAMES, 0)
        self.seconds = self.trained = 0.0
        self.since: float | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.since = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        """Start it here where a run goes on in the middle of an epoch, so that its first row is like the others."""
        if self.since is None:
            self.since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Rows, batch_idx: int
    ) -> None:
        """Count, and log if this step has a row."""
        now = time.perf_counter()
        self.seconds += now - (now if self.since is None else self.since)
        self.since = now
        for name, count in zip(NAMES, (len(batch.doc_ids), batch.doc_ids.numel()), strict=True):
            self.seen[name] += count * trainer.world_size
        if logs_now(trainer) and self.seconds > 0:
            pl_module.log_dict({f"train/{name}_per_second": self.seen[name] / self.seconds for name in NAMES})
            self._add_up()

    def again(self) -> L.Callback:
        """The callback that starts the clock again, to come last."""
        return _Again(self)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock: what follows is not training."""
        self.since = None

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add what no row has counted."""
        self._add_up()

    def state_dict(self) -> dict[str, Any]:
        """What the run has trained with so far, and for how long."""
        return {"total": self._all(), "trained": self.trained + self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved."""
        self.total, self.trained = dict(state_dict["total"]), state_dict["trained"]

    def _all(self) -> dict[str, int]:
        return {name: self.total[name] + self.seen[name] for name in NAMES}

    def _add_up(self) -> None:
        self.trained += self.seconds
        self.total = self._all()
        self.seen, self.seconds = dict.fromkeys(NAMES, 0), 0.0


class _Again(L.Callback):
    def __init__(self, clock: Throughput) -> None:
        self.clock = clock

    def on_train_batch_end(self, *_: Any) -> None:
        """Start the clock again: what was done since the end of the step was not training."""
        self.clock.since = time.perf_counter()


def overall(trainer: L.Trainer) -> dict[str, float]:
    """The rates of the whole training, its `train_seconds`, its `queries`, and the documents embedded for each."""
    found = callbacks_of(trainer, Throughput)[0]
    if not found.trained:
        return {"train_seconds": 0.0}
    rates = {f"{name}_per_second": round(found.total[name] / found.trained, 1) for name in NAMES}
    queries, documents = (found.total[name] for name in NAMES)
    counts = {"queries": queries, "documents_per_query": documents / queries}
    return {"train_seconds": round(found.trained, 2), **rates, **counts}
