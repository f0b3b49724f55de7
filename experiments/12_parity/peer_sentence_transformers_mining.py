"""sentence-transformers' mine_hard_negatives, and FlagEmbedding's hn_mine written out, against our mined lists."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from lists import CORPUS, NEGATIVES, QUERIES, embeddings, labels, mining_row, our_lists
from rows import Row, write
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from sentence_transformers.util import mine_hard_negatives
from tiny import WIDTH, folder

PEER = "sentence-transformers"
MOST = 3  # positives of a query
DEPTH = 10 * NEGATIVES + MOST  # with a threshold theirs looks so deep
POSITIVES = "filter=[known_positives"


def mined(**settings: Any) -> list[list[int]]:
    """Their lists by document; they come as (query, positive, negative), once for each positive."""
    torch.set_default_dtype(torch.float32)
    network = modules.Transformer(str(folder()), model_kwargs={"attn_implementation": "eager"})
    model = SentenceTransformer(modules=[network, modules.Pooling(WIDTH, "mean"), modules.Normalize()], device="cpu")
    pairs = [(QUERIES[q], CORPUS[doc]) for q, docs in enumerate(labels()) for doc in docs]
    data = Dataset.from_dict(dict(zip(("query", "positive"), map(list, zip(*pairs, strict=True)), strict=True)))
    found = mine_hard_negatives(
        data, model, corpus=CORPUS, num_negatives=NEGATIVES, output_format="triplet", verbose=False, **settings
    )
    lists: dict[str, list[int]] = {}
    places = {text: i for i, text in enumerate(CORPUS)}
    for query, negative in zip(found["query"], found["negative"], strict=True):
        held = lists.setdefault(query, [])
        if places[negative] not in held:
            held.append(places[negative])
    return [lists.get(query, []) for query in QUERIES]


def row(what: str, words: str, note: str = "", depth: int = DEPTH, **settings: Any) -> Row:
    """Compare the first five of each query."""
    return mining_row(
        PEER, f"mine_hard_negatives, {what}", words, our_lists(*words.split(), depth=depth), mined(**settings), note
    )


def ranks() -> Row:
    """Their ranks count what was not thrown out, ours all that was ranked: the same where no positive is that high."""
    ranked = (embeddings()[0] @ embeddings()[1].T).argsort(1, descending=True)[:, : 30 + MOST].tolist()
    here = [q for q, docs in enumerate(labels()) if not set(docs) & set(ranked[q])]
    words = f"{POSITIVES},rank_window] filter.rank_window.skip=10 filter.rank_window.last=30"
    ours, theirs = our_lists(*words.split(), depth=60), mined(range_min=10, range_max=30)
    note = (
        f"their ranks count what other rules left, ours, like hn_mine, what the miner ranked, positives too: equal"
        f" where no positive is among the first 30 ({len(here)} of {len(QUERIES)} queries, compared here)"
    )
    return mining_row(
        PEER,
        "mine_hard_negatives, range_min=10, range_max=30",
        words,
        [ours[q] for q in here],
        [theirs[q] for q in here],
        note,
    )


def hn_mine() -> Row:
    """FlagEmbedding's scripts/hn_mine.py: what lies at the ranks of the range and is no positive, to draw from."""
    ranked = (embeddings()[0] @ embeddings()[1].T).argsort(1, descending=True)[:, 10:60].tolist()
    pool = [[doc for doc in row if doc not in docs] for row, docs in zip(ranked, labels(), strict=True)]
    words = f"{POSITIVES},rank_window] filter.rank_window.skip=10 filter.rank_window.last=60"
    note = "theirs fills a short list up with random texts, ours leaves it short; which of the pool are drawn is random"
    ours = our_lists(*words.split(), depth=60, take=None)
    return mining_row(
        "FlagEmbedding hn_mine (formula)", "range 10-60, the pool that is drawn from", words, ours, pool, note
    )


THRESHOLD = "theirs looks at 10 k + the most positives; here negatives.mined.depth is so deep"
ROWS_OF_TABLE = [
    lambda: row("top 5", f"{POSITIVES}]", depth=NEGATIVES),
    lambda: row(
        "absolute_margin",
        f"{POSITIVES},absolute_margin] filter.absolute_margin.margin=0.005",
        THRESHOLD,
        absolute_margin=0.005,
    ),
    lambda: row(
        "relative_margin",
        f"{POSITIVES},relative_margin] filter.relative_margin.margin=0.005",
        THRESHOLD,
        relative_margin=0.005,
    ),
    lambda: row("max_score", f"{POSITIVES},score_window] filter.score_window.high=0.975", THRESHOLD, max_score=0.975),
    lambda: row(
        "max_score, min_score and relative_margin",
        f"{POSITIVES},score_window,relative_margin] filter.score_window.high=0.98 filter.score_window.low=0.97"
        " filter.relative_margin.margin=0.003",
        THRESHOLD,
        max_score=0.98,
        min_score=0.97,
        relative_margin=0.003,
    ),
    ranks,
    hn_mine,
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
