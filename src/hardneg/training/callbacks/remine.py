"""Mining with the model in training: a first round, and a new one every so often."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L

from hardneg.mining.store import hold_lists, release_lists
from hardneg.negatives.base import Setting
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.stored import Stored
from hardneg.retrieval.model import Model
from hardneg.system import agreement, split_weights
from hardneg.training.callbacks.interrupt import stopping_at_once
from hardneg.training.callbacks.keep_checkpoints import last_written
from hardneg.training.callbacks.moving_average import averaged
from hardneg.training.trainer_state import all_steps_made, ends_now, logs_now, stops_early
from hardneg.training.write_row import write_mined


class Remine(L.Callback):
    """Let the sources that follow the model mine at epoch ends, or every n optimiser steps.

    The first round comes before the first step, or after `warmup_epochs` on the run's other negatives (the three stages
    random, mine, mixed). It runs when the epoch's batches are all trained on and before the checkpoint is written:
    mined when an epoch starts, lists would come too late for a resumed run, whose first iterator exists by then.
    With a `curriculum` a source is mined only when it may be drawn from before the next chance to mine it.
    The checkpoint names the stores, so a resumed run draws from exactly those it would have drawn from. A run that
    continues another run's checkpoint mines the round which that run skipped at its end, and mines for sources which
    that run did not have.

    `keep_last` removes this run's older stores, but for those that last.ckpt names and checkpoints since (one may be
    half written), and those that another run or `hardneg mine` made too.
    """

    def __init__(
        self,
        sources: Mapping[str, Stored],
        setting: Setting,
        model: Model,
        warmup_epochs: int = 0,
        every_n_epochs: int | None = 1,
        every_n_steps: int | None = None,
        keep_last: int | None = None,
        curriculum: Curriculum | None = None,
    ) -> None:
        self.sources, self.setting, self.model = dict(sources), setting, model
        self.curriculum = curriculum
        self.warmup_epochs = warmup_epochs
        self.every_n_epochs, self.every_n_steps, self.keep_last = every_n_epochs, every_n_steps, keep_last
        self.round, self.step = 0, 0
        self.seconds = 0.0  # that this process has spent mining
        self.stores: dict[str, list[str]] = {name: [] for name in sources}
        self.new = list(sources)  # those that the checkpoint, if there is one, knows nothing of
        self.saved: dict[int, list[str]] = {}  # step of a checkpoint -> the stores in use when it was written

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the stores that the checkpoint names; see that a first round can begin; mine what is due already."""
        for name, stores in self.stores.items():
            if stores:
                if self.setting.owner is not None:  # another run may have mined it, and remove it when it goes on
                    agreement.first(partial(hold_lists, self.setting.cache, stores[-1], self.setting.owner))
                self.sources[name].open(self.setting.cache / "stores" / stores[-1])
        for name in self.new if self.round else self.sources:
            self.sources[name].check(replace(self.setting, model=self.model))
        if stops_early(trainer):
            return
        done = trainer.current_epoch
        wanted = self._wanted(trainer, done)
        if within_epoch(trainer):
            due = batches_left(trainer) and self._is_due_within(trainer)
        else:
            due = self._is_due(trainer, done)
        if self.step == trainer.global_step > 0 or not due:
            wanted = [name for name in wanted if name in self.new and done >= self.warmup_epochs]
        self.mine(trainer, wanted)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Mine where it is due; log how old the lists are."""
        since = trainer.global_step - self.step
        if self.round and logs_now(trainer):
            # The step just done drew from lists that were one step younger than they are now.
            pl_module.log_dict({f"mining/{name}/staleness": float(since - 1) for name in self.sources})
        if trainer.is_last_batch or all_steps_made(trainer) or stops_early(trainer):
            return
        if self._is_due_within(trainer):
            self.mine(trainer, self._wanted(trainer, trainer.current_epoch))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Mine the first round after the warm-up, and a new one if the epochs are up, but not after the last."""
        if ends_now(trainer):
            return
        done = trainer.current_epoch + 1
        if self._is_due(trainer, done):
            self.mine(trainer, self._wanted(trainer, done))

    def _is_due(self, trainer: L.Trainer, done: int) -> bool:
        """Whether a round is due when this many epochs are `done`."""
        since = done - self.warmup_epochs
        epochs_up = self.every_n_epochs and since > 0 and since % self.every_n_epochs == 0
        return since >= 0 and bool(not self.round or epochs_up or self._is_due_within(trainer))

    def _is_due_within(self, trainer: L.Trainer) -> bool:
        """Whether the steps of a round are up, within an epoch too; the first round is due at an epoch's end."""
        steps = self.every_n_steps
        return bool(steps and self.round and trainer.global_step - self.step >= steps)

    def _wanted(self, trainer: L.Trainer, epoch: int) -> list[str]:
        """The sources that a curriculum may draw from before the next chance to mine, from this epoch on."""
        if self.curriculum is None:
            return list(self.sources)
        length = len(trainer.train_dataloader)  # type: ignore[arg-type]
        chances = []
        if self.every_n_epochs:
            chances.append(self.every_n_epochs - (epoch - self.warmup_epochs) % self.every_n_epochs)
        if self.every_n_steps:
            chances.append(1 + math.ceil(self.every_n_steps * trainer.accumulate_grad_batches / length))
        end = (epoch + min(chances)) * length if chances else sys.maxsize
        return [name for name in self.sources if self.curriculum.needs(name, epoch * length, end)]

    def mine(self, trainer: L.Trainer, names: list[str]) -> None:
        """Mine a round for these sources with the weights as they are, and log how it came out."""
        if not names:
            return
        average = averaged(trainer)
        model = replace(self.model, average=None if average is None else average.ranker)
        setting = replace(self.setting, model=model)
        self.round, self.step = self.round + 1, trainer.global_step
        began = time.perf_counter()
        for name in names:
            source = self.sources[name]
            with stopping_at_once(), split_weights.whole_weights(self.model.towers):
                store = source.mine(setting)
            if store.folder.name not in self.stores[name]:
                self.stores[name].append(store.folder.name)
            write_mined(trainer, name, {"round": float(self.round), **source.report()}, self.step)
        self.seconds += time.perf_counter() - began
        self._forget(last_written(trainer))

    def _forget(self, step: int) -> None:
        """Release what is older than `keep_last` rounds; `step` is that of last.ckpt."""
        self.saved = {at: stores for at, stores in self.saved.items() if at >= step}
        if self.keep_last is None:
            return
        # Sources of one recipe share a list, which one may still need when another has gone on to newer ones.
        wanted = {store for stores in self.saved.values() for store in stores}
        wanted |= {store for stores in self.stores.values() for store in stores[-self.keep_last :]}
        old = {store: None for stores in self.stores.values() for store in stores if store not in wanted}
        self.stores = {name: [one for one in stores if one not in old] for name, stores in self.stores.items()}
        if self.setting.owner is not None:
            agreement.first(partial(self._release, list(old)))  # releasing waits for locks that others may hold

    def _release(self, stores: list[str]) -> None:
        assert self.setting.owner is not None
        for store in stores:
            release_lists(self.setting.cache, store, self.setting.owner)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note which stores the checkpoint names: these are not removed."""
        self.saved[trainer.global_step] = self._in_use()

    def state_dict(self) -> dict[str, Any]:
        """The round, and the stores by name: never the lists themselves."""
        return {"round": self.round, "step": self.step, "stores": {k: list(v) for k, v in self.stores.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` saved; the stores are opened when training starts."""
        self.round, self.step, stores = state_dict["round"], state_dict["step"], state_dict["stores"]
        self.stores = {name: list(stores.get(name, ())) for name in self.sources}
        self.new = [name for name in self.sources if name not in stores]
        self.saved = {0: self._in_use()}  # until this process has written one

    def _in_use(self) -> list[str]:
        return [stores[-1] for stores in self.stores.values() if stores]


def within_epoch(trainer: L.Trainer) -> bool:
    """Whether a run goes on in the middle of an epoch, or just before its end, at its start."""
    position = trainer.datamodule.position  # type: ignore[attr-defined]
    return bool(position.get("epoch") == trainer.current_epoch)


def batches_left(trainer: L.Trainer) -> bool:
    """Whether the epoch that a run goes on within has more batches: what is due after the last waits for its end."""
    position = trainer.datamodule.position  # type: ignore[attr-defined]
    return bool(position["handed_out"] < len(trainer.train_dataloader))  # type: ignore[arg-type]
