"""The training step: embed, collect candidates, filter, lose, log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hardneg import distributed
from hardneg.batch import Batch
from hardneg.candidates import Candidates
from hardneg.encoders.towers import Towers
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss
from hardneg.negatives.base import OnlineSource
from hardneg.negatives.in_batch import reverse
from hardneg.optimised import Optimised
from hardneg.schedule import Schedule


class DualEncoder(Optimised):
    """Trains the towers so that each query's positive leads its negatives.

    `card` is what a checkpoint needs to be read without the run's config (see `hardneg.checkpoint`).
    """

    def __init__(
        self,
        towers: Towers,
        sources: Mapping[str, OnlineSource],
        filters: Mapping[str, CandidateFilter],
        losses: Mapping[str, Loss],
        names: tuple[str, ...],
        optimizer: Callable[[list[dict]], Optimizer],
        schedule: Schedule,
        seed: int,
        card: dict[str, Any],
    ) -> None:
        super().__init__(filters, losses, names, optimizer, schedule, seed)
        self.towers = towers
        self.sources: Mapping[str, OnlineSource] = cast(Mapping, nn.ModuleDict(sources))
        self.card = card

    @property
    def ranker(self) -> Towers:
        """What evaluation ranks with."""
        return self.towers

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step, top to bottom; scores and losses are float32 whatever the encoder computes in."""
        q, d = self.towers.both(batch.queries, batch.docs)
        d = d.unflatten(0, batch.doc_ids.shape)
        with torch.autocast(self.device.type, enabled=False):
            offered = Candidates.own(q, d, batch, self.names)
            for name, source in self.sources.items():
                offered = offered.add(q, source(q, d, batch), name, distributed.rank())
            kept = offered
            for rule in self.filters.values():
                kept = kept.keep(rule(kept, batch.positive_ids))
            if any(loss.needs_reverse for loss in self.losses.values()):
                kept = kept.with_reverse(reverse(q, d, batch))
            parts = {name: loss.weight * loss(kept).mean() for name, loss in self.losses.items()}
            total = torch.stack(list(parts.values())).sum()
            self.log_step(total, parts, offered, kept)
        for source in self.sources.values():
            source.update(d.detach(), batch)
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the optimiser's step; a momentum tower follows."""
        super().optimizer_step(*args, **kwargs)
        self.towers.follow()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint readable on its own."""
        checkpoint["hardneg"] = self.card
