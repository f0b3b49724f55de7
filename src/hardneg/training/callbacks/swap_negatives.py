"""A look, every n steps, at how the drawn negatives score, so that those that have become easy are swapped."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from hardneg.matrix.candidates import Candidates
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.stored import Stored
from hardneg.negatives.swap import Scored, Swapped
from hardneg.system import collectives, distributed
from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.remine import Remine
from hardneg.training.trainer_state import callbacks_of
from hardneg.training.write_row import write_row

log = logging.getLogger(__name__)

Step = tuple[Tensor, ...]  # its queries, their documents, what these scored, and which source each is of
MOST = 100  # steps that are kept on the device at most, whatever `every_n_steps` is


class SwapNegatives(L.Callback):
    """Keep what each step's drawn negatives scored, and have their sources judge it when their steps are up.

    The scores are those that the step has anyway, before any live filter, and stay on the device until then, so that
    the host waits for them only then. Every rank judges what all ranks have seen. The checkpoint holds what has given
    way, and what waits to be judged. Logs `negatives/<source>/easy`, the share of what was looked at that counts as
    easy, and `negatives/<source>/swapped`, the share that gave way: fewer where lists are used up.

    Comes after `Remine`: in a new store nothing has given way, and what was drawn from the old one is forgotten.
    """

    def __init__(
        self, sources: Mapping[str, Stored], names: tuple[str, ...], curriculum: Curriculum | None = None
    ) -> None:
        rules = {name: source.swap for name, source in sources.items() if source.swap is not None}
        self.every = {name: rule.every_n_steps for name, rule in rules.items() if rule.every_n_steps is not None}
        self.sources = {name: sources[name] for name in self.every}
        self.labels = {name: names.index(name) for name in self.sources}
        self.skipped = {name: 0 if curriculum is None else curriculum.skipped(name) for name in self.sources}
        self.fresh: dict[str, list[Step]] = {name: [] for name in self.sources}  # of this rank, on its device
        self.held: dict[str, list[Scored]] = {name: [] for name in self.sources}  # of all ranks, in main memory
        self.of: dict[str, Swapped | None] = dict.fromkeys(self.sources)  # at the draw of these
        self.judged_at = -1
        self.resumed: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the steps from now on; take up what a checkpoint says, where the stores are those that it names."""
        assert isinstance(pl_module, TrainingModule)
        if self.see not in pl_module.watchers:
            pl_module.watchers.append(self.see)
        for name, state in self.resumed.items():
            source = self.sources.get(name)
            if source is None or source.swapped is None or source.swapped.store.folder.name != state["store"]:
                continue
            source.swapped.restore(state["swapped"])
            self._follow(name)
            self.held[name] = [Scored(*(state["held"][field].numpy() for field in Scored._fields))]
        self.resumed = {}
        self._warn_of_new_lists(trainer)

    def _warn_of_new_lists(self, trainer: L.Trainer) -> None:
        """Warn of lists replaced within an epoch: a negative proves easy when it is drawn again, an epoch later."""
        mining = callbacks_of(trainer, Remine)
        new = [(one.every_n_steps, one.setting) for one in mining if one.every_n_steps]
        epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        if not new or new[0][0] > epoch or not trainer.is_global_zero:
            return
        every, setting = new[0]
        if setting.training.data.mixed:  # small sets come often in an epoch of a mix
            return
        for name, source in self.sources.items():
            if source.follows_model and source.swap is not None and source.swap.floor is None:
                log.warning(
                    "negatives.%s.swap: remine.every_n_steps=%d gives new lists within an epoch of %d steps, so that"
                    " few negatives are drawn twice from a list and become easy; mine less often, or set"
                    " negatives.%s.swap.floor",
                    *(name, every, epoch, name),
                )

    def see(self, offered: Candidates) -> None:
        """Keep a step's own documents, without the columns beside them, which would be held with them."""
        assert offered.query_ids is not None, "steps of a dual encoder name their queries"
        own = slice(None, offered.slots)
        step = (offered.query_ids, *(x[:, own].detach().clone() for x in (offered.ids, offered.scores, offered.source)))
        for name in self.sources:
            self._follow(name)
            if self.of[name] is not None:
                self.fresh[name].append(step)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Judge the negatives of the sources whose steps are up."""
        for name in self.sources:
            if len(self.fresh[name]) >= MOST:
                self._collect(name)
        step = trainer.global_step
        if step == 0 or step == self.judged_at:  # several batches make a step where gradients are accumulated
            return
        due = [name for name, steps in self.every.items() if step % steps == 0]
        if due:
            self.judged_at = step
        for name in due:
            self._follow(name)
            self._collect(name)
            held, self.held[name] = self.held[name], []
            if not held:
                continue
            judged = self.sources[name].judge(_joined(held), self.skipped[name])
            if judged.looked_at:
                shares = {"easy": judged.easy / judged.looked_at, "swapped": judged.swapped / judged.looked_at}
                write_row(trainer, {f"negatives/{name}/{key}": value for key, value in shares.items()})

    def _follow(self, name: str) -> None:
        """Forget what was drawn from lists that were replaced."""
        now = self.sources[name].swapped
        if now is not self.of[name]:
            self.of[name], self.fresh[name], self.held[name] = now, [], []

    def _collect(self, name: str) -> None:
        """Bring together what all ranks have seen since this was last done; every rank must."""
        fresh, self.fresh[name] = self.fresh[name], []
        if not fresh:
            return
        queries, docs, scores, labels = (_of_all_ranks(torch.stack(parts)) for parts in zip(*fresh, strict=True))
        rows, places = np.nonzero((labels == self.labels[name]) & (docs >= 0))
        self.held[name].append(Scored(queries[rows], docs[rows, places], scores[rows, places]))

    def state_dict(self) -> dict[str, Any]:
        """What has given way, the first scores, and what waits to be judged; every rank is asked."""
        sources = {}
        for name in self.sources:
            self._follow(name)
            self._collect(name)
            if (swapped := self.of[name]) is None:
                continue
            held = _joined(self.held[name])._asdict()
            sources[name] = {
                "store": swapped.store.folder.name,
                "swapped": swapped.state(),
                "held": {field: torch.from_numpy(array) for field, array in held.items()},
            }
        return {"judged_at": self.judged_at, "sources": sources}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what `state_dict` saved until training starts, and the stores are open."""
        self.judged_at, self.resumed = state_dict["judged_at"], state_dict["sources"]


def _of_all_ranks(x: Shaped[Tensor, "S B *rest"]) -> np.ndarray:
    """Gather steps of rows, as one process with all the ranks' rows would have had them."""
    ranks = collectives.gather(x).unflatten(0, (distributed.world_size(), len(x)))
    found: np.ndarray = ranks.transpose(0, 1).flatten(0, 2).cpu().numpy()
    return found


def _joined(held: list[Scored]) -> Scored:
    none = Scored(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return Scored(*(np.concatenate(parts) for parts in zip(none, *held, strict=True)))
