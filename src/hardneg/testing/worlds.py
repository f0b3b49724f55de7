"""Small data sets with every knot that real ones have, and the setting that sources are prepared in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import prepared
from hardneg.filters.known_positives import KnownPositives
from hardneg.negatives.base import Setting
from hardneg.testing.synthetic import make_model


def toy() -> RetrievalData:
    """A small generated world: 36 train queries, 120 documents."""
    return Toy(docs=120, queries=60, names=12, attributes=6, false_negative_rate=0.2).load()


def tangled(toy: RetrievalData) -> RetrievalData:
    """The toy world with every knot that real sets have.

    Documents come twice under other ids, queries are asked twice with other labels, some query has several positives,
    and the given negatives hold known positives.
    """
    train = toy.qrels["train"]
    queries, docs = train.queries, train.docs
    copied, asked = np.unique(docs[:10]), queries[:5]
    corpus = Texts.of(
        [*toy.corpus.ids.to_pylist(), *(f"copy{row}" for row in copied)],
        [*toy.corpus.texts.to_pylist(), *(f"{text} " for text in toy.corpus.take(copied))],
    )
    asked_again = Texts.of(
        [*toy.queries.ids.to_pylist(), *(f"again{row}" for row in asked)],
        [*toy.queries.texts.to_pylist(), *toy.queries.take(asked)],
    )
    n = len(toy.queries)
    rows = np.concatenate([queries, n + np.arange(len(asked)), queries[-1:]]).astype(np.int32)
    labels = np.concatenate([docs, docs[20 : 20 + len(asked)], docs[:1]]).astype(np.int32)
    assert toy.given is not None
    given = Ragged.of(
        np.concatenate([toy.given.row_ids, rows]), np.concatenate([toy.given.values, labels]), len(asked_again)
    )
    qrels = {**toy.qrels, "train": Qrels.of_relevant(rows, labels)}
    return RetrievalData("tangled", corpus, asked_again, qrels, given=given)


def make_setting(cache: Path, data: RetrievalData | None = None) -> Setting:
    """What a source is prepared with: a training set (by default the tangled world), a filter and a small model.

    `cache` is a folder for what is mined.
    """
    data = tangled(toy()) if data is None else data
    training = TrainingSet(data)
    filters = prepared({"known_positives": KnownPositives()}, training)
    return Setting(training, filters, cache, make_model(data, cache), device="cpu")
