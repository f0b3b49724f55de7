"""A run that is one of a race: it keeps dev by query and pauses where the race looks at it, or only takes the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from hardneg.errors import Paused
from hardneg.runs import rungs, status
from hardneg.runs.folder import BEST, CHECKPOINTS, LAST
from hardneg.system import agreement
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.after_evaluation import AfterEvaluation
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.keep_checkpoints import last_written
from hardneg.training.callbacks.remine import Remine
from hardneg.training.trainer_state import at_a_step, callbacks_of

LEAST = 5  # steps that are timed at least
WINDOWS = 4


def race_part(part: rungs.RungTask | None, folder: Path, evaluate: Evaluate, metric: str) -> list[L.Callback]:
    """The callback of a run's part in a race; none for a run of no race."""
    if part is None:
        return []
    if part.seconds is not None:
        return [TimeSteps(part.seconds, folder, evaluate, part.over_all)]
    return [PauseAtRung(part.until, folder, evaluate, metric)]


class PauseAtRung(AfterEvaluation, Checkpoint):
    """Keep every dev evaluation query by query; at the step `until` write last.ckpt and raise `Paused`.

    A kind of checkpoint, so that Lightning calls it after those: what it leaves behind knows the best one. The run goes
    on from there as after an interruption, so that its schedule is that of its whole length.
    """

    def __init__(self, until: int | None, folder: Path, evaluate: Evaluate, metric: str) -> None:
        super().__init__(evaluate)
        self.until, self.folder, self.metric = until, folder, metric

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pause at once where the run has reached the rung already."""
        self._pause(trainer)

    def evaluated(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep it, and pause where it is that of the rung."""
        self._note(trainer)
        if self._there(trainer) and last_written(trainer) < trainer.global_step:
            trainer.save_checkpoint(self.folder / CHECKPOINTS / LAST, weights_only=False)
        self._pause(trainer)

    def _there(self, trainer: L.Trainer) -> bool:
        return self.until is not None and trainer.global_step >= self.until

    def _pause(self, trainer: L.Trainer) -> None:
        if self._there(trainer):
            raise Paused

    def _note(self, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero:
            return
        data, point = self.evaluate.retriever.data, self.evaluate.history[-1]
        ids = data.queries.ids.take(data.split(str(self.evaluate.dev)).query_rows).to_numpy(zero_copy_only=False)
        values = self.evaluate.latest[self.metric]
        rungs.note(self.folder, ids, values, int(point["step"]), float(point[f"val/{self.metric}"]))


class TimeSteps(Checkpoint):
    """Train for some seconds, evaluate dev once, write down how long each takes, and raise `Paused`.

    `timing` in the status: seconds of an optimiser step (`step`, with its share of the mining rounds to come), of an
    evaluation with the checkpoint that is written where it is the best (`evaluation`), from the start to the first
    step without mining and the choice of dev's subset (`start`); without a subset 0, of that choice (`choice`) and, if
    asked for, of ranking dev over all documents (`over_all`).
    """

    def __init__(self, seconds: float, folder: Path, evaluate: Evaluate, over_all: bool) -> None:
        self.seconds, self.folder, self.evaluate, self.over_all = seconds, folder, evaluate, over_all
        self.start = 0.0
        self.ends: list[float] = []  # when each step ended, by a clock that stands while something is mined

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note how long it took to come here."""
        since = (status.read(self.folder) or {}).get("started", time.time())
        besides = _mining_seconds(trainer) + self.evaluate.choosing_seconds
        self.start = max(time.time() - float(since) - besides, 0.0)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Note the end of a step, from the first on, which is slower, and stop when the time is up."""
        if not at_a_step(trainer):
            return
        now = time.perf_counter()
        self.ends.append(now - _mining_seconds(trainer))
        up = len(self.ends) > LEAST and self.ends[-1] - self.ends[0] >= self.seconds
        if not agreement.first(lambda: up):
            return
        step = step_seconds(self.ends) + _mining_a_step(trainer)
        self.evaluate.measure(trainer, pl_module)
        trainer.save_checkpoint(self.folder / CHECKPOINTS / BEST, weights_only=False)
        evaluation = time.perf_counter() - now
        found: dict[str, Any] = {
            "step": step,
            "evaluation": evaluation,
            "start": self.start,
            "choice": self.evaluate.choosing_seconds,
            "over_all": self._seconds_over_all(pl_module),
        }
        if trainer.is_global_zero:
            status.write(self.folder, timing=found)
        raise Paused

    def _seconds_over_all(self, module: L.LightningModule) -> float:
        if not self.over_all or self.evaluate.subset is None:
            return 0.0
        assert isinstance(module, TrainingModule)
        began = time.perf_counter()
        self.evaluate.measure_over_all(module.ranker)
        return time.perf_counter() - began


def step_seconds(ends: Sequence[float]) -> float:
    """How long a step takes, by when each of some steps ended: the mean of the quickest quarter of the time.

    Of a machine that does other things too a moment's load says nothing; what an epoch's end costs is in every quarter
    that is as long as an epoch, but for last.ckpt, which is written there seldom (a twentieth of the time at most).
    """
    size = max((len(ends) - 1) // WINDOWS, min(LEAST, len(ends) - 1))
    return min((ends[at + size] - ends[at]) / size for at in range(len(ends) - size))


def _mining_seconds(trainer: L.Trainer) -> float:
    return float(sum(one.seconds for one in callbacks_of(trainer, Remine)))


def _mining_a_step(trainer: L.Trainer) -> float:
    """The seconds of mining again, spread over the steps between two rounds."""
    an_epoch = max(len(trainer.train_dataloader) // trainer.accumulate_grad_batches, 1)  # type: ignore[arg-type]
    total = 0.0
    for one in callbacks_of(trainer, Remine):
        every = min([one.every_n_steps or 0, (one.every_n_epochs or 0) * an_epoch], key=lambda n: n or float("inf"))
        if one.round and every:
            total += one.seconds / one.round / every
    return total
