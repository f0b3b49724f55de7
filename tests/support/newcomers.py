"""Parts that a newcomer might write, good ones and broken ones, for test_contracts_bite.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn import functional as F

from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss
from hardneg.matrix.candidates import Columns
from hardneg.negatives.base import Draw, OfflineSource, OnlineSource, pad
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.random import Random
from hardneg.negatives.stored import Stored
from hardneg.teachers.base import Teacher


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


@dataclass(frozen=True, kw_only=True)
class GoodEncoder(EncoderRecipe):
    """The mean of bytes' embeddings, through a matrix."""

    dim: int = 8

    def tokenizer(self, corpus, queries=None):
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer

    def build(self, tokenizer):
        return self.tower(tokenizer.get_vocab_size())

    def tower(self, rows):
        return MeanOfBytes(rows, self.dim, self.unit_vectors)

    def architecture(self, tower):
        return {"rows": tower.embedding.num_embeddings}

    def rebuild(self, architecture):
        return self.tower(architecture["rows"])


class MeanOfBytes(Tower):
    def __init__(self, rows, dim, normalize):
        super().__init__()
        self.dim, self.normalize = dim, normalize
        self.embedding, self.matrix = nn.Embedding(rows, dim), nn.Linear(dim, dim)

    def forward(self, input_ids, attention_mask):
        shares = attention_mask / attention_mask.sum(dim=1, keepdim=True)
        pooled = self.matrix((self.embedding(input_ids) * shares[..., None]).sum(dim=1))
        return F.normalize(pooled, dim=-1) if self.normalize else pooled


class ReadsPadding(GoodEncoder):
    def tower(self, rows):
        tower = super().tower(rows)
        forward = tower.forward
        tower.forward = lambda input_ids, attention_mask: forward(input_ids, torch.ones_like(attention_mask))
        return tower


class NormalisesOverTheBatch(GoodEncoder):
    def tower(self, rows):
        tower = super().tower(rows)
        forward = tower.forward
        tower.forward = lambda *given: F.normalize(forward(*given) - forward(*given).mean(dim=0) / 2, dim=-1)
        return tower


class ForgetsToNormalise(GoodEncoder):
    def tower(self, rows):
        tower = super().tower(rows)
        forward = tower.forward
        tower.forward = lambda *given: 2 * forward(*given)
        return tower


class StartsAnyhow(GoodEncoder):
    def build(self, tokenizer):
        tower = super().build(tokenizer)
        tower.matrix.weight.data += torch.from_numpy(np.random.default_rng().random((self.dim, self.dim))).float()
        return tower


class ForgetsItsScale(GoodEncoder):
    def build(self, tokenizer):
        tower = super().build(tokenizer)
        forward, scale = tower.forward, torch.arange(1.0, self.dim + 1)
        tower.forward = lambda *given: F.normalize(forward(*given) * scale, dim=-1)
        return tower


class IsRandom(GoodEncoder):
    def tower(self, rows):
        tower = super().tower(rows)
        forward = tower.forward
        tower.forward = lambda *given: F.normalize(F.dropout(forward(*given)) + 1e-3, dim=-1)
        return tower


class HasAnIdleWeight(GoodEncoder):
    def tower(self, rows):
        tower = super().tower(rows)
        tower.idle = nn.Parameter(torch.zeros(3))
        return tower


class KeepsAnObject(GoodEncoder):
    def embedding_settings(self):
        return {"dim": self.dim, "device": torch.device("cpu")}


@dataclass(frozen=True)
class GoodData:
    """Twelve documents that each answer a query of their own."""

    size: int = 12

    def load(self):
        return RetrievalData("good", self.texts("d"), self.texts("q"), {"train": self.labels()})

    def texts(self, prefix):
        return Texts.of([f"{prefix}{n}" for n in range(self.size)], [f"{prefix} says {n}" for n in range(self.size)])

    def labels(self):
        return Qrels.of_relevant(np.arange(self.size), np.arange(self.size))


class ShufflesAnew(GoodData):
    def labels(self):
        return Qrels.of_relevant(np.arange(self.size), np.random.default_rng().permutation(self.size))


class CountsFromOne(GoodData):
    def labels(self):
        return Qrels.of_relevant(np.arange(self.size), np.arange(self.size) + 1)


class JudgesTwice(GoodData):
    def labels(self):
        return Qrels.of_relevant(np.arange(self.size) // 2, np.arange(self.size) // 2)


class HasAnEmptySplit(GoodData):
    def load(self):
        nothing = Qrels.of_relevant(np.arange(0), np.arange(0))
        return RetrievalData("bad", self.texts("d"), self.texts("q"), {"train": self.labels(), "dev": nothing})


class HasAnIdTwice(GoodData):
    def texts(self, prefix):
        made = super().texts(prefix)
        return Texts(made.ids.take([0, *range(self.size - 1)]), made.texts)


class HoldsAFunction(GoodData):
    def __init__(self):
        super().__init__()
        object.__setattr__(self, "opened", lambda: None)
