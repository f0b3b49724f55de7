"""The training step: embed, collect candidates, filter, lose, log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from hardneg import distributed
from hardneg.batch import Batch
from hardneg.candidates import Candidates
from hardneg.encoders.towers import Towers
from hardneg.fsdp import FSDP2
from hardneg.negatives.base import OnlineSource
from hardneg.negatives.in_batch import reverse
from hardneg.optimised import Objective, Optimised


class DualEncoder(Optimised):
    """Trains the towers so that each query's positive leads its negatives.

    `card` is what a checkpoint needs to be read without the run's config (see `hardneg.checkpoint`).
    """

    def __init__(
        self,
        towers: Towers,
        sources: Mapping[str, OnlineSource],
        objective: Objective,
        card: dict[str, Any],
    ) -> None:
        super().__init__(objective)
        self.towers = towers
        self.sources: Mapping[str, OnlineSource] = cast(Mapping, nn.ModuleDict(sources))
        self.card = card

    @property
    def ranker(self) -> Towers:
        """What evaluation ranks with."""
        return self.towers

    def configure_model(self) -> None:
        """Split the towers over the devices if that is the trainer's strategy."""
        if isinstance(self.trainer.strategy, FSDP2):
            self.trainer.strategy.split(self.towers)
            self.strict_loading = False  # Lightning would miss what adapters leave out of a checkpoint

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step, top to bottom; scores and losses are float32 whatever the encoder computes in."""
        q, d = self.towers.both(batch.queries, batch.docs)
        d = d.unflatten(0, batch.doc_ids.shape)
        with torch.autocast(self.device.type, enabled=False):
            offered = Candidates.own(q, d, batch, self.names)
            for name, source in self.sources.items():
                offered = offered.add(q, source(q, d, batch), name, distributed.rank())
            kept = self.filtered(offered, batch)
            if any(loss.needs_reverse for loss in self.losses.values()):
                kept = kept.with_reverse(reverse(q, d, batch))
            total = self.lose(offered, kept)
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
