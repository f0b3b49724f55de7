"""The training step: embed, collect candidates, filter, compute the loss, log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hardneg.encoders.towers import Towers
from hardneg.losses.base import VectorLoss
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded
from hardneg.matrix.reverse import all_queries
from hardneg.negatives.base import OnlineSource
from hardneg.training.base import Objective, TrainingModule
from hardneg.training.fsdp import FSDP2


class DualEncoder(TrainingModule):
    """Trains the towers so that each query's positive leads its negatives.

    `card` is what a checkpoint needs to be read without the run's config (see `hardneg.encoders.checkpoint`).
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
        # DDP would have rank 0 send a whole queue before each forward pass. They are equal without: every rank fills
        # its queue with what all gathered, and counts popularity in the same data.
        self._ddp_params_and_buffers_to_ignore = [n for n, _ in self.named_buffers() if n.startswith("sources.")]
        self.resting: frozenset[str] = frozenset()  # online sources that a curriculum has switched off for now

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
            embedded = self.gather_columns(q, d, batch)
            offered = self.with_live_teacher(embedded.candidates(batch, self.names))
            kept = self.filtered(offered, batch)
            widths = self.cut_to_widths(embedded)
            at_each_width = self.at_each_width(widths, kept)
            vector_losses = self.vector_losses(widths, batch)
            vectors = {"queries": q, "documents": d[:, 0]}
            total = self.compute_loss(offered, kept, at_each_width, vectors, vector_losses)
        for source in self.sources.values():
            source.update(d.detach(), batch)
        return total

    def gather_columns(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Embedded:
        """Ask every online source that is on, once, and gather the queries if a loss wants the other direction."""
        on = {name: source for name, source in self.sources.items() if name not in self.resting}
        columns = {name: source(q, d, batch) for name, source in on.items()}
        symmetric = any(loss.needs_reverse for loss in self.losses.values())
        wanted = symmetric and any(source.of_all_rows for source in on.values())
        return Embedded(q, d, columns, all_queries(q, batch) if wanted else None)

    def with_live_teacher(self, offered: Candidates) -> Candidates:
        """Add the in-batch teacher's scores, if there is one; of drawn negatives also while its own source rests."""
        for source in self.sources.values():
            if source.teaches_live:
                return replace(offered, live_teacher=source.teacher_scores(offered))
        return offered

    def cut_to_widths(self, embedded: Embedded) -> list[tuple[float, Embedded]]:
        """Return the vectors at each width with its weight, narrowest first; at the full width they are unchanged."""
        widths, dim = self.towers.widths, self.towers.dim
        return [
            (weight, embedded if width == dim else embedded.cut(width, self.towers.normalize))
            for width, weight in widths.items()
        ]

    def at_each_width(self, widths: list[tuple[float, Embedded]], kept: Candidates) -> list[tuple[float, Candidates]]:
        """Score the kept candidates at each width: the filters have judged them at the full one, once."""
        full = self.towers.dim
        return [(weight, kept if e.q.shape[1] == full else e.score_again(kept)) for weight, e in widths]

    def vector_losses(self, widths: list[tuple[float, Embedded]], batch: Batch) -> dict[str, Tensor]:
        """The losses over the vectors themselves, weighted, each at the widths that it counts at."""
        weighted = {}
        for name, loss in self.losses.items():
            if isinstance(loss, VectorLoss):
                here = widths if loss.at_all_widths else [(1.0, widths[-1][1])]  # the last is the full width
                weighted[name] = loss.weight * torch.stack([weight * loss(e, batch) for weight, e in here]).sum()
        return weighted

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the optimiser's step; a momentum tower follows."""
        super().optimizer_step(*args, **kwargs)
        self.towers.follow()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint readable on its own."""
        checkpoint["hardneg"] = self.card
