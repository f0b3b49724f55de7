"""What the drawn negatives did in the end: idle, at work, or suspected to be false."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from omegaconf import DictConfig

from hardneg.mining import alarm_rules
from hardneg.mining.alarm_rules import Thresholds
from hardneg.negatives.base import OfflineSource
from hardneg.runs import rungs
from hardneg.runs.without_negatives import NothingWithout, commands_without
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.raise_alarms import raise_alarms
from hardneg.training.trainer_state import callbacks_of, just_logged

log = logging.getLogger(__name__)

WATCHED = ("loss", "above_positive", "margin")
LEAST = 9  # logged steps with a source's negatives, of which the last third is judged


class JudgeNegatives(L.Callback):
    """Collect what every source's negatives did, as often as it is logged, and say at the end what the `drawn` did.

    `drawn` are the sources that name documents (BM25, mined, random, given), which cost an encoding each; `names` are
    all. The share of the loss is of the sum over the sources of the losses on their negatives alone.
    """

    def __init__(
        self, names: Sequence[str], drawn: Mapping[str, OfflineSource], evaluate: Evaluate, thresholds: Thresholds
    ) -> None:
        self.names, self.drawn, self.evaluate, self.at = list(names), dict(drawn), evaluate, thresholds
        self.seen: dict[str, dict[str, list[float]]] = {name: {what: [] for what in WATCHED} for name in names}
        self.first: dict[str, int] = {}  # the step after which a source first had something to draw from

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Note which sources have something to draw from by now."""
        for name, source in self.drawn.items():
            if name not in self.first and getattr(source, "store", source) is not None:
                self.first[name] = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Take what was logged at this step; NaN where a source had no negatives."""
        if not just_logged(trainer):
            return
        for name, of_source in self.seen.items():
            for what, values in of_source.items():
                value = trainer.callback_metrics.get(f"negatives/{name}/{what}")
                values.append(math.nan if value is None else float(value))

    def numbers(self) -> dict[str, dict[str, float]]:
        """Of each drawn source its `loss_share`, `above_positive` and `margin` over the last third of its steps."""
        return {name: found for name in self.drawn if (found := self._of(name))}

    def _of(self, name: str) -> dict[str, float]:
        there = np.flatnonzero(np.isfinite(self.seen[name]["margin"]))
        if len(there) < LEAST:
            return {}
        last = there[-(len(there) // 3) :]
        values = {what: np.array(self.seen[name][what])[last] for what in WATCHED}
        total = np.nansum([np.array(self.seen[other]["loss"])[last] for other in self.names])
        share = float(np.nansum(values["loss"]) / total) if total > 0 else math.nan
        means = {what: float(np.nanmean(values[what])) for what in WATCHED[1:]}
        return {"loss_share": share, **means}

    def _too_few(self, name: str, trainer: L.Trainer) -> str:
        """Say why a source is not judged, and what would let it be."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not every:
            return "trainer.log_every_n_steps=0 logs no step, so that its negatives are not judged"
        there = int(np.isfinite(self.seen[name]["margin"]).sum())
        made = trainer.global_step - self.first.get(name, trainer.global_step)  # since it had something to draw from
        mend = "trainer.log_every_n_steps=1 logs every step" if every > 1 and made >= LEAST else "train longer"
        return f"too few steps with its negatives were logged to judge them ({there} of at least {LEAST}); {mend}"

    def tell(self, trainer: L.Trainer, cfg: DictConfig, folder: Path) -> None:
        """Say what the drawn negatives did, with alarms where they were no help, and how to measure what they did."""
        numbers = self.numbers()
        if not trainer.is_global_zero:
            return
        for name in [name for name in self.drawn if name not in numbers]:
            log.info("%s: %s", name, self._too_few(name, trainer))
        if not numbers:
            return
        best = f"val/{self.evaluate.best}"
        for name, measured in numbers.items():
            log.info("%s: %s (last third of the training)", name, alarm_rules.in_words(measured))
            source = self.drawn[name]
            told = alarm_rules.at_the_end(name, measured, self.at, source.origin, source.draws_nearest)
            raise_alarms(trainer, name, told + alarm_rules.best_before(best, self.evaluate.history, self.first[name]))
        if rungs.part_of(folder) is None:  # a race compares its arms itself
            self._say_what_tells(cfg, folder)

    def _say_what_tells(self, cfg: DictConfig, folder: Path) -> None:
        names = ", ".join(self.drawn)  # the run without them is without all of them, judged or not
        try:
            commands = commands_without(cfg, folder, self.drawn)
        except NothingWithout as why:
            log.info("no run without %s can tell what these negatives did for dev and test: %s", names, why)
            return
        if commands:
            typed, splits = "\n  ".join(commands), [name for name in ("dev", "test") if cfg.split[name] is not None]
            did, it = f"what {names} did for {' and '.join(splits)}", "it" if len(self.drawn) == 1 else "them"
            log.info("to see %s (this seed), train the same run without %s:\n  %s", did, it, typed)

    def state_dict(self) -> dict[str, Any]:
        """What was logged of every source, and when each first had something to draw from."""
        return {"seen": self.seen, "first": self.first}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved; sources that another run's checkpoint does not know have NaN."""
        seen = state_dict["seen"]
        steps = max((len(values) for of_source in seen.values() for values in of_source.values()), default=0)
        for name in self.seen:
            self.seen[name] = seen.get(name) or {what: [math.nan] * steps for what in WATCHED}
        self.first = {name: step for name, step in state_dict["first"].items() if name in self.drawn}


def judged(trainer: L.Trainer) -> dict[str, dict[str, float]]:
    """The numbers of the run's drawn negatives; empty where there are none, or too few steps were logged."""
    found = callbacks_of(trainer, JudgeNegatives)
    return found[0].numbers() if found else {}
