"""A miner, a teacher and a filter that go by the rows of documents."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hardneg.filters.base import CandidateFilter
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.base import Hits, Miner
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.teachers.base import Teacher


@dataclass
class Counting(Miner):
    """Ranks all documents by row number, and counts how often it is asked."""

    start: int = 0
    calls: list = field(default_factory=list)

    def identity(self):
        return {"miner": "counting", "start": self.start}

    def open(self, task):
        def rank(queries, positives, k):
            self.calls.append((len(queries), k))
            n = len(task.data.corpus)
            ids = np.tile((np.arange(k) + self.start) % n, (len(queries), 1)).astype(np.int32)
            scores = np.tile(-np.arange(k), (len(queries), 1)).astype(np.float32)
            of_positives = np.where(positives >= 0, -((positives - self.start) % n), np.nan).astype(np.float32)
            return Hits(ids, scores, of_positives)

        return rank


KNOWN = {"known_positives": KnownPositives()}


class Scoring(Teacher):
    """Scores a document by its row number, and counts the pairs that it was asked."""

    def __init__(self):
        self.asked = 0

    def identity(self):
        return {"teacher": "scoring"}

    def score(self, queries, docs):
        self.asked += int((docs >= 0).sum())
        return np.where(docs >= 0, docs, np.nan).astype(np.float32)


class Below(CandidateFilter):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def __call__(self, c, positive_ids):
        return c.ids < self.limit


def mine(miner, training, filters, depth, cache, documents="all", teacher=None):
    return mine_and_store(MiningRecipe(miner, depth, documents, filters, teacher), training, cache)
