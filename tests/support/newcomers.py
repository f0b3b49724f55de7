"""Parts that a newcomer might write, good ones and broken ones: test_contracts_bite.py gives each a yaml."""

from __future__ import annotations

import numpy as np
import torch

from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss
from hardneg.matrix.candidates import Columns
from hardneg.mining.teacher import Teacher
from hardneg.negatives.base import Draw, OfflineSource, OnlineSource, pad
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.random import Random
from hardneg.negatives.stored import Stored


class GoodSource(OfflineSource):
    def __init__(self, k: int, step: int = 1) -> None:
        super().__init__(k)
        self.step = step

    def prepare(self, setting) -> None:
        self.size, self.known = len(setting.training.data.corpus), setting.training.known

    def draw(self, query, rng) -> Draw:
        near = (query + self.step * np.arange(1, 20)) % self.size
        return Draw(pad(near[~np.isin(near, self.known[query])][: self.k], self.k))


class TakesKnownPositives(Random):
    def draw(self, query, rng) -> Draw:
        return Draw(pad(self.excluded[query][: self.k], self.k))


class ForgetsTwins(Random):
    """Leaves out the labelled positives, but draws documents with the same text."""

    def prepare(self, setting) -> None:
        self.known, self.labelled = setting.training.known, setting.training.positives

    def draw(self, query, rng) -> Draw:
        return Draw(pad(np.setdiff1d(self.known[query], self.labelled[query])[: self.k], self.k))


class HasItsOwnDice(Random):
    def prepare(self, setting) -> None:
        super().prepare(setting)
        self.dice = np.random.default_rng(0)

    def draw(self, query, rng) -> Draw:
        return super().draw(query, self.dice)


class RunsOverTheEnd(Random):
    def draw(self, query, rng) -> Draw:
        return Draw(super().draw(query, rng).ids + np.int32(self.docs[-1].stop))


class CopiesItsLists(Stored):
    def prepare(self, setting) -> None:
        super().prepare(setting)
        self.lists = self.store._ids.array


class OffersOwnDocuments(InBatch):
    def forward(self, q, d, batch) -> Columns:
        columns = super().forward(q, d, batch)
        return Columns(columns.emb, columns.ids, torch.full_like(columns.owner, -1))


class ForgetsItsState(OnlineSource):
    """A queue of one step that is no buffer."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.size, self.held = size, None

    def forward(self, q, d, batch) -> Columns:
        emb, ids = self.held or (d.new_zeros(0, d.shape[2]), batch.doc_ids.new_zeros(0))
        return Columns(emb, ids, torch.full_like(ids, -1))

    def update(self, d, batch) -> None:
        self.held = (d[: self.size, 0], batch.doc_ids[: self.size, 0])


class GoodLoss(Loss):
    def __init__(self, bias: float = 0.5, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.bias = bias

    def forward(self, c):
        lead = torch.where(c.negative, c.scores + self.bias - c.lowest_positive, 0.0)
        return torch.where(c.negative, lead.exp(), 0.0).sum(dim=1)


class SeesMaskedColumns(Loss):
    def forward(self, c):
        return torch.where(c.positive, 0.0, c.scores).logsumexp(dim=1) - c.lowest_positive[:, 0]


class DividesByNothing(Loss):
    """The mean over a row's negatives, of which there may be none."""

    def forward(self, c):
        return torch.where(c.negative, c.scores, 0.0).sum(dim=1) / c.negative.sum(dim=1) - c.lowest_positive[:, 0]


class LooksAtPlaces(Loss):
    def forward(self, c):
        weight = torch.arange(c.scores.shape[1])
        return torch.where(c.negative, c.scores * weight, 0.0).sum(dim=1) - c.lowest_positive[:, 0]


class GoodFilter(CandidateFilter):
    def __init__(self, highest: float = 0.9, at: str = "both") -> None:
        super().__init__(at)
        self.highest = highest

    def __call__(self, c, positive_ids):
        return c.scores < self.highest


class DropsEverySecondRow(CandidateFilter):
    def __call__(self, c, positive_ids):
        return (torch.arange(len(c.scores)) % 2 == 0)[:, None].expand(c.scores.shape)


class DropsTheBest(CandidateFilter):
    """Of those still there: the second time another one."""

    def __call__(self, c, positive_ids):
        alive = c.scores.masked_fill(~c.negative, -torch.inf)
        return alive < alive.amax(dim=1, keepdim=True)


class GoodTeacher(Teacher):
    """Likes documents of high rows."""

    def identity(self):
        return {"teacher": "good"}

    def score(self, queries, docs):
        return np.where(docs >= 0, docs, np.nan).astype(np.float32)
