"""A small corpus to mine: the same texts, labels and weights for our lists and a peer's."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import Row, named
from tiny import composed, folder, texts

from hardneg.config import classes
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.training_set import TrainingSet
from hardneg.mining.dense import Dense
from hardneg.mining.pipeline import MiningRecipe, mine_and_store

QUERIES = [f"{text} w{i % 7}" for i, text in enumerate(texts(80, 11))]
CORPUS = list(dict.fromkeys(texts(600, 12)))
NEGATIVES = 5


@functools.cache
def labels() -> list[list[int]]:
    """One to three positives of each query, of the forty documents that this model ranks first."""
    rng = np.random.default_rng(13)
    ranked = (embeddings()[0] @ embeddings()[1].T).argsort(1, descending=True)
    return [sorted(rng.choice(row[:40].numpy(), 1 + q % 3, replace=False).tolist()) for q, row in enumerate(ranked)]


@functools.cache
def training() -> TrainingSet:
    """The texts and labels as our data."""
    pairs = [(q, doc) for q, docs in enumerate(labels()) for doc in docs]
    queries, docs = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    qrels = Qrels(queries, docs, np.ones(len(pairs), np.float32))
    columns = [
        Texts.of([f"{kind}{i}" for i in range(len(rows))], rows) for kind, rows in (("d", CORPUS), ("q", QUERIES))
    ]
    return TrainingSet(RetrievalData("parity", *columns, {"train": qrels}))


@functools.cache
def recipe() -> Any:
    """Our encoder over the folder, in float32 as it mines."""
    words = ("encoder=transformer", f"encoder.model={folder()}", "encoder.pooling=mean", "encoder.normalize=true")
    return classes.build(composed(*words).encoder).resolved()


@functools.cache
def embeddings() -> tuple[torch.Tensor, torch.Tensor]:
    """What our encoder makes of queries and corpus, for peers that begin there."""
    torch.set_default_dtype(torch.float32)  # what encodes here trains nothing
    columns = [Texts.of([str(i) for i in range(len(rows))], rows) for rows in (QUERIES, CORPUS)]
    from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
    from hardneg.retrieval.embed_tables import embed_table
    from hardneg.retrieval.model import Model

    tokenizer = recipe().tokenizer(columns[1])
    towers = Towers(recipe(), recipe().build(tokenizer)).eval()
    data = RetrievalData("texts", columns[1], columns[0], {})
    model = Model.over(data, towers, recipe(), tokenizer, "32-true", Path(tempfile.mkdtemp()))
    return tuple(
        embed_table(model.towers, table, side, "32-true", side)
        for table, side in ((model.queries, QUERY), (model.docs, DOCUMENT))
    )  # type: ignore[return-value]


def our_lists(*words: str, depth: int, take: int | None = NEGATIVES) -> list[list[int]]:
    """Mine as `negatives=mined` does, with the filters of these words; the first `take` of what was kept."""
    filters = classes.build_group(composed(*words).filter, "filter")
    for rule in filters.values():
        rule.prepare(training())
    cache = Path(tempfile.mkdtemp())
    miner = Dense(encoder=recipe(), precision="32-true").ready(training().data, None, cache)
    store = mine_and_store(MiningRecipe(miner, depth, "all", filters), training(), cache)
    return [store.kept(query)[:take].tolist() for query in range(len(QUERIES))]


def mining_row(
    peer: str, what: str, here: str, ours: list[list[int]], theirs: list[list[int]], on_purpose: str = ""
) -> Row:
    """Compare lists; the difference is the share of places that hold another document."""
    places = sum(max(len(a), len(b)) for a, b in zip(ours, theirs, strict=True))
    same = sum(x == y for a, b in zip(ours, theirs, strict=True) for x, y in zip(a, b, strict=False))
    assert places > len(ours), "there is nothing to compare"
    return Row(peer, named(peer), what, here, places, (places - same) / places, None, on_purpose)
