"""What every training module here shares: losses, optimiser, repeatable dropout, and the log of a step."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss, Weighed
from hardneg.matrix.batch import Rows
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.telemetry import by_source, random_cosine
from hardneg.training.other_parts import fit_parts, same_weights
from hardneg.training.parameter_groups import ParameterGroups, make_optimizer
from hardneg.training.schedule import AnyScheduler, Schedule, epochs_of
from hardneg.training.trainer_state import next_is_logged

RANDOM_COSINE = "train/random_cosine"  # of different rows' queries, and of their first documents


@dataclass(frozen=True)
class Objective:
    """What to minimise, over which candidates, and how.

    `names` are the labels of the candidates, ("positive", source, ...). Of the filters only those for live batches are
    applied in training.
    """

    filters: Mapping[str, CandidateFilter]
    losses: Mapping[str, Weighed]
    names: tuple[str, ...]
    optimizer: Callable[[list[dict]], Optimizer]
    schedule: Schedule | AnyScheduler
    seed: int
    groups: ParameterGroups = ParameterGroups()


class TrainingModule(L.LightningModule):
    """Trains on the score matrix; subclasses say how its scores come about."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.losses: Mapping[str, Weighed] = cast(Mapping, nn.ModuleDict(objective.losses))
        self.filters = {name: rule for name, rule in objective.filters.items() if rule.at != "mined"}
        self.names = objective.names
        self.make_optimizer, self.groups, self.schedule = objective.optimizer, objective.groups, objective.schedule
        self.seed = objective.seed
        self.watchers: list[Callable[[Candidates], None]] = []  # are given each step's unfiltered candidates

    @property
    def ranker(self) -> Any:
        """The part that evaluation ranks with."""
        raise NotImplementedError

    def leave(self, folder: Path) -> None:
        """Write what the run is for into its folder, beside the checkpoints; rank 0 calls it, with the best weights."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the run train on with other sources and losses; raises `ConfigError` where it cannot (`fit_parts`)."""
        for key in ("state_dict", "current_model_state"):  # the second beside a moving average
            if key in checkpoint:
                fit_parts(checkpoint[key], self)

    def on_train_batch_start(self, batch: Rows, batch_idx: int) -> None:
        """Make dropout a pure function of (seed, step, rank): a resumed run goes on with the same masks."""
        step = zlib.crc32(json.dumps([self.seed, self.trainer.fit_loop.total_batch_idx, self.global_rank]).encode())
        if self.device.type == "cpu":
            # torch.manual_seed would note a traceback for every kind of device that is not in use.
            torch.default_generator.manual_seed(step)
        else:
            torch.manual_seed(step)

    def filtered(self, offered: Candidates, batch: Rows) -> Candidates:
        """Drop the candidates that a filter for live batches does not let through."""
        for rule in self.filters.values():
            offered = offered.keep(rule(offered, batch.positive_ids))
        return offered

    def compute_loss(
        self,
        offered: Candidates,
        kept: Candidates,
        at_each_width: Sequence[tuple[float, Candidates]] | None = None,
        embeddings: Mapping[str, Tensor] | None = None,
        vector_losses: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return the weighted sum of the losses, each a mean over the rows, and log the step.

        `at_each_width` are `kept` as narrower embeddings score them, with a weight each: the losses are summed over
        them. `embeddings` are what the log looks at for a collapse, by name, a row each. `vector_losses` are losses
        that are computed already, weighted: those that read no scores.
        """
        for watch in self.watchers:
            watch(offered)
        views = [(1.0, kept)] if at_each_width is None else at_each_width
        parts = {
            name: loss.weight * torch.stack([weight * loss(view).mean() for weight, view in views]).sum()
            for name, loss in self.losses.items()
            if isinstance(loss, Loss)
        }
        parts |= vector_losses or {}
        total = torch.stack(list(parts.values())).sum()
        self.log_step(total, parts, offered, kept, embeddings or {})
        return total

    def log_step(
        self,
        total: Tensor,
        parts: dict[str, Tensor],
        offered: Candidates,
        kept: Candidates,
        embeddings: Mapping[str, Tensor],
    ) -> None:
        """Log the loss, and every few steps what each source and loss did."""
        # Not for Lightning's bar, which would read every step's number at once and wait: ours takes it when it is due.
        self.log("train/loss", total.detach(), batch_size=len(kept.scores))
        if not next_is_logged(self.trainer):
            return  # Lightning would not write it
        metrics = by_source(offered, kept, [loss for loss in self.losses.values() if isinstance(loss, Loss)])
        metrics |= {f"{RANDOM_COSINE}/{of}": random_cosine(rows) for of, rows in embeddings.items()}
        if len(parts) > 1:
            metrics |= {f"train/loss/{name}": self.loss_to_log(name, part, kept) for name, part in parts.items()}
        for name, loss in self.losses.items():
            metrics |= {f"train/{key}/{name}": value for key, value in loss.learned().items()}
        self.log_dict(metrics, batch_size=len(kept.scores))

    def loss_to_log(self, name: str, part: Tensor, kept: Candidates) -> Tensor:
        """A loss as it is logged: NaN, not a perfect 0, in a batch without a query of its data sets."""
        loss = self.losses[name]
        counted = loss.counted(kept) if isinstance(loss, Loss) else None
        return part.detach() if counted is None else part.detach().where(counted.any(), torch.nan)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:  # type: ignore[override]
        """Make the optimizer over the groups of weights, and attach the schedule."""
        optimizer = make_optimizer(self.make_optimizer, self.groups, self)
        optimizer.register_load_state_dict_pre_hook(same_weights)
        steps = int(self.trainer.estimated_stepping_batches)
        epochs = self._epochs(steps) if self.schedule.interval == "epoch" else 1
        return [optimizer], self.schedule.attached(optimizer, steps, epochs)

    def _epochs(self, steps: int) -> int:
        """How many epochs a run of `steps` optimiser steps has."""
        self.trainer.fit_loop.setup_data()  # where only max_steps is given nothing has counted the batches yet
        return epochs_of(steps, math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches))

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, but with fused optimizers too, which take a scaler's factor out themselves, later."""
        if not gradient_clip_val:
            return
        factor = gradient_factor(self.trainer, optimizer)
        clip([p for p in self.parameters() if p.grad is not None], gradient_clip_val, gradient_clip_algorithm, factor)


def gradient_factor(trainer: L.Trainer, optimizer: Optimizer) -> Tensor | None:
    """What gradients are multiplied by when an optimizer's step begins; None where they are as they should be.

    A scaler has multiplied them (16-mixed), and a fused optimizer divides them within its step, where Lightning does so
    before for all others. A tensor: reading it would wait for the device.
    """
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    fused = getattr(optimizer, "_step_supports_amp_scaling", False)
    return scaler._get_scale_async() if scaler is not None and fused else None


def clip(parameters: Sequence[nn.Parameter], limit: float, algorithm: str | None, factor: Tensor | None = None) -> None:
    """Clip gradients by their common norm or each by `value`, as if no scaler had multiplied them by `factor`.

    What is infinite or NaN stays so, for the scaler to skip the step.
    """
    grads = [cast(Tensor, p.grad) for p in parameters]
    if algorithm == "value":
        for grad in grads:
            most = torch.full((), limit, device=grad.device) * (1.0 if factor is None else factor)
            grad.clamp_(min=-most, max=most)
        return
    norm = nn.utils.get_total_norm(grads)
    nn.utils.clip_grads_with_norm_(parameters, limit, norm if factor is None else norm / factor)
