"""Filtered lists against sentence-transformers' mine_hard_negatives, FlagEmbedding's hn_mine and NeMo's 95% rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.filters.score_margin import AbsoluteMargin, RelativeMargin
from hardneg.filters.score_window import ScoreWindow
from hardneg.mining.base import Hits
from hardneg.mining.filtering import filter_hits
from hardneg.mining.store import KEPT

QUERIES, DOCS, FIRST = 12, 80, 5


@pytest.fixture(scope="module")
def world():
    """Unit vectors, and one to three positives among what lies near each query."""
    rng = np.random.default_rng(0)
    q, d = (rng.normal(size=(rows, 4)).astype(np.float32) for rows in (QUERIES, DOCS))
    q, d = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, d))
    near = np.argsort(-(q @ d.T), axis=1)[:, :12]
    return q, d, [rng.choice(row, 1 + i % 3, replace=False).tolist() for i, row in enumerate(near)]


def ours(world, depth, *filters, first=FIRST):
    """The kept documents of each query."""
    q, d, positives = world
    scores = q @ d.T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :depth].astype(np.int32)
    known = np.full((QUERIES, 3), -1, np.int32)
    for row, docs in enumerate(positives):
        known[row, : len(docs)] = docs
    of_known = np.where(known >= 0, np.take_along_axis(scores, known.clip(min=0), 1), np.nan).astype(np.float32)
    hits = Hits(ids, np.take_along_axis(scores, ids, 1), of_known)
    rules = {type(rule).__name__: rule for rule in (KnownPositives(), *filters)}
    reasons, _ = filter_hits(hits, known, np.arange(QUERIES, dtype=np.int32), rules)
    return [row[why == KEPT][:first].tolist() for row, why in zip(ids, reasons, strict=True)]


class Embedded:
    """Stands for a SentenceTransformer: looks the vectors up."""

    device = torch.device("cpu")

    def __init__(self, q, d):
        self.encode_query = lambda texts, **_: q[[int(text[1:]) for text in texts]]
        self.encode_document = lambda texts, **_: d[[int(text[1:]) for text in texts]]

    def similarity(self, a, b):
        return torch.as_tensor(a) @ torch.as_tensor(b).T

    def similarity_pairwise(self, a, b):
        return (torch.as_tensor(a) * torch.as_tensor(b)).sum(dim=1)


@pytest.mark.parametrize(
    ("rules", "settings"),
    [
        ([], {}),
        ([AbsoluteMargin(0.1)], {"absolute_margin": 0.1}),
        ([RelativeMargin(0.05)], {"relative_margin": 0.05}),
        ([ScoreWindow(high=0.8)], {"max_score": 0.8}),
        ([ScoreWindow(low=0.5, high=0.9), RelativeMargin(0.1)],
         {"max_score": 0.9, "min_score": 0.5, "relative_margin": 0.1}),
    ],
)  # fmt: skip
def test_mine_hard_negatives(world, rules, settings):
    mine = pytest.importorskip("sentence_transformers.util").mine_hard_negatives
    from datasets import Dataset

    q, d, positives = world
    pairs = [(f"q{row}", f"d{doc}") for row, docs in enumerate(positives) for doc in docs]
    data = Dataset.from_dict({"query": [pair[0] for pair in pairs], "positive": [pair[1] for pair in pairs]})
    corpus = [f"d{doc}" for doc in range(DOCS)]
    found = mine(
        data, Embedded(q, d), corpus=corpus, num_negatives=FIRST, output_format="triplet", verbose=False, **settings
    )
    theirs = [[] for _ in range(QUERIES)]
    for query, negative in zip(found["query"], found["negative"], strict=True):
        held = theirs[int(query[1:])]
        held += [doc for doc in [int(negative[1:])] if doc not in held]
    lists = ours(world, 10 * FIRST + 6, *rules)  # theirs looks so deep: ten times, and twice the most positives
    assert lists == theirs and sum(map(len, lists)) > QUERIES


def test_hn_mines_range(world):
    q, d, positives = world
    ranked = np.argsort(-(q @ d.T), axis=1, kind="stable")[:, 3:20].tolist()
    theirs = [[doc for doc in row if doc not in docs] for row, docs in zip(ranked, positives, strict=True)]
    assert ours(world, 40, RankWindow(3, 20), first=None) == theirs


@pytest.mark.parametrize("share", [0.95, 0.8])
def test_nemos_percentage_of_the_lowest_positive(world, share):
    q, d, positives = world
    scores = q @ d.T
    theirs = []
    for row, docs in zip(scores, positives, strict=True):
        masked = row.copy()
        masked[docs] = -np.inf
        masked[masked > row[docs].min() * np.float32(share)] = -np.inf
        best = np.argsort(-masked, kind="stable")[:FIRST]
        theirs.append([doc for doc in best.tolist() if masked[doc] > -np.inf])
    assert ours(world, DOCS, RelativeMargin(1 - share)) == theirs
