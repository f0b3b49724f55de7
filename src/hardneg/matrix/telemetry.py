"""Telemetry by source: what each kind of negative does to the loss, as metrics."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from hardneg.matrix.candidates import Candidates

# Of each source, as negatives/<source>/<metric>.
METRICS = ("count", "filtered", "kept", "above_positive", "margin", "similarity", "loss")


@runtime_checkable
class Weighted(Protocol):
    """What telemetry needs of a loss: its weight, which sources it reads, and its value for each row."""

    weight: float

    def reads(self, source: str) -> bool:
        """Whether the loss sees this source's negatives."""

    def __call__(self, c: Candidates) -> Tensor:
        """Return each row's loss."""


@torch.no_grad()
def by_source(offered: Candidates, kept: Candidates, losses: Collection[Weighted]) -> dict[str, Tensor]:
    """Describe each negative source of a step; keys are `negatives/<source>/<metric>`, and of the positives alone.

    count: negatives kept per query. filtered: negatives dropped by the filters per query. kept: the share of what was
    offered that the filters have kept (NaN when nothing was offered). margin: mean lead of the positive over the kept
    negatives, in similarity; above_positive: the share of these that score above the row's lowest positive: wrong yet,
    or wrongly labelled; similarity: their own mean, as `positives/similarity` is of the positives: a margin is also
    small where everything is alike. loss: the weighted losses that read this source on its negatives alone, comparable
    between steps of a run because the pool has one size (NaN, not a perfect 0, where it has none, or where no loss
    reads it).
    """
    lowest, rows = kept.lowest_positive, len(kept.scores)
    metrics = {"positives/similarity": kept.scores.masked_fill(~kept.positive, 0.0).sum() / kept.positive.sum()}
    for label, name in enumerate(kept.names):
        if name == "positive":
            continue
        here = kept.negative & (kept.source == label)
        count = here.sum()
        before = (offered.negative & (offered.source == label)).sum()
        alone = kept.only(name)
        read = [x.weight * x(alone).mean() for x in losses if x.reads(name)]
        loss = torch.stack(read).sum() if read else count.new_full((), torch.nan, dtype=torch.float32)
        lead = (lowest - kept.scores).masked_fill(~here, 0.0).sum()
        above = (here & (kept.scores > lowest)).sum()
        metrics |= {
            f"negatives/{name}/count": count / rows,
            f"negatives/{name}/filtered": (before - count) / rows,
            f"negatives/{name}/kept": count / before,
            f"negatives/{name}/margin": lead / count,
            f"negatives/{name}/above_positive": above / count,
            f"negatives/{name}/similarity": kept.scores.masked_fill(~here, 0.0).sum() / count,
            f"negatives/{name}/loss": loss.where(count > 0, torch.nan),
        }
    return metrics


@torch.no_grad()
def random_cosine(emb: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """The mean cosine of all pairs of different rows: near 1 where a model embeds everything alike; NaN for one row.

    Of random texts it should be far from 1 ("uniformity", Wang & Isola 2020, arXiv:2005.10242).
    """
    total = F.normalize(emb.float(), dim=-1).sum(dim=0)
    n = len(emb)
    return (total.dot(total) - n) / (n * (n - 1)) if n > 1 else total.new_tensor(torch.nan)
