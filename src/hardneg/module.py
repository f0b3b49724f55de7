"""The training step: embed, collect candidates, filter, lose, log."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from hardneg import distributed
from hardneg.batch import Batch
from hardneg.candidates import Candidates
from hardneg.encoders.towers import Towers
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss
from hardneg.monitor import by_source
from hardneg.negatives.base import OnlineSource
from hardneg.negatives.in_batch import reverse
from hardneg.schedule import Schedule


class DualEncoder(L.LightningModule):
    """Trains the towers so that each query's positive leads its negatives.

    `names` are the labels of the candidates, ("positive", source, ...). `card` is what a checkpoint needs to be read
    without the run's config (see `hardneg.checkpoint`).
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
        super().__init__()
        self.towers = towers
        self.sources: Mapping[str, OnlineSource] = cast(Mapping, nn.ModuleDict(sources))
        self.losses: Mapping[str, Loss] = cast(Mapping, nn.ModuleDict(losses))
        self.filters = {name: rule for name, rule in filters.items() if rule.at != "mined"}
        self.names = names
        self.make_optimizer, self.schedule = optimizer, schedule
        self.seed, self.card = seed, card

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
            self._log_step(total, parts, offered, kept, batch)
        for source in self.sources.values():
            source.update(d.detach(), batch)
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the optimiser's step; a momentum tower follows."""
        super().optimizer_step(*args, **kwargs)
        self.towers.follow()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make dropout a pure function of (seed, step, rank): a resumed run goes on with the same masks."""
        step = zlib.crc32(json.dumps([self.seed, self.trainer.fit_loop.total_batch_idx, self.global_rank]).encode())
        torch.manual_seed(step)

    def _log_step(
        self, total: Tensor, parts: dict[str, Tensor], offered: Candidates, kept: Candidates, batch: Batch
    ) -> None:
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=len(batch))
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not every or (self.global_step + 1) % every:
            return  # Lightning would not write it
        metrics = by_source(offered, kept, self.losses.values())
        if len(parts) > 1:
            metrics |= {f"train/loss/{name}": part.detach() for name, part in parts.items()}
        for name, loss in self.losses.items():
            metrics |= {f"train/{key}/{name}": value for key, value in loss.learned().items()}
        self.log_dict(metrics, batch_size=len(batch))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Decay matrices only: biases, norms and temperatures are not pulled to zero."""
        trained = [p for p in self.parameters() if p.requires_grad]
        matrices, rest = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
        optimizer = self.make_optimizer([group for group in groups if group["params"]])
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule.over(optimizer, steps), "interval": "step"},
        }

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, but let fused optimizers through where no gradient scaler is at work."""
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if not gradient_clip_val or scaled or gradient_clip_algorithm not in (None, "norm"):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what makes the checkpoint readable on its own."""
        checkpoint["hardneg"] = self.card
