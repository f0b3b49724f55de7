"""Telemetry by source: what each kind of negative does to the loss, as metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hardneg.matrix.candidates import Candidates

METRICS = ("count", "filtered", "hit_rate", "margin", "loss")  # of each source, as negatives/<source>/<metric>


@runtime_checkable
class Weighted(Protocol):
    """What telemetry needs of a loss: its weight, and its value for each row."""

    weight: float

    def __call__(self, c: Candidates) -> Tensor:
        """Return each row's loss."""


@torch.no_grad()
def by_source(offered: Candidates, kept: Candidates, losses: Iterable[Weighted]) -> dict[str, Tensor]:
    """Describe each negative source of a step; keys are `negatives/<source>/<metric>`.

    count: negatives kept per query. filtered: negatives dropped by the filters per query. hit_rate: kept / offered
    (NaN when nothing was offered). margin: mean lead of the positive over the kept negatives, in similarity. loss: the
    weighted losses on this source's negatives alone, comparable between steps of a run because the pool has one size
    (NaN, not a perfect 0, where it has none).
    """
    metrics: dict[str, Tensor] = {}
    for label, name in enumerate(kept.names):
        if name == "positive":
            continue
        here = kept.source == label
        count = (kept.negative & here).sum()
        before = (offered.negative & here).sum()
        alone = kept.only(name)
        loss = torch.stack([x.weight * x(alone).mean() for x in losses]).sum()
        lead = (kept.lowest_positive - kept.scores).masked_fill(~alone.negative, 0.0).sum()
        rows = len(kept.scores)
        metrics |= {
            f"negatives/{name}/count": count / rows,
            f"negatives/{name}/filtered": (before - count) / rows,
            f"negatives/{name}/hit_rate": count / before,
            f"negatives/{name}/margin": lead / count,
            f"negatives/{name}/loss": loss.where(count > 0, torch.nan),
        }
    return metrics
