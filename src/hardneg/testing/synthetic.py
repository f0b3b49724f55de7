"""Small made-up batches, score matrices and data sets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.encoders.towers import Towers
from hardneg.matrix.batch import Batch, Tokens
from hardneg.matrix.candidates import Candidates
from hardneg.retrieval.model import Model


def random_units(*shape: int, seed: int = 0) -> Tensor:
    """Random unit vectors that want a gradient."""
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return F.normalize(made, dim=-1).requires_grad_()


def make_tokens(rows: int) -> Tokens:
    """So many rows of three tokens, all different."""
    ids = torch.arange(1, rows * 3 + 1).reshape(rows, 3)
    return Tokens(ids, torch.ones_like(ids, dtype=torch.bool), torch.full((rows,), 3))


def make_batch(
    doc_ids: Any,
    query_ids: Any = None,
    positive_ids: Any = None,
    source: Any = None,
    teacher: Tensor | None = None,
    positives: int = 1,
) -> Batch:
    """A batch around these document ids (B, G); the first slots hold the positives, and all that are known."""
    doc_ids = torch.as_tensor(doc_ids)
    rows, slots = doc_ids.shape
    return Batch(
        queries=make_tokens(rows),
        docs=make_tokens(rows * slots),
        query_ids=torch.arange(rows) if query_ids is None else torch.as_tensor(query_ids),
        doc_ids=doc_ids,
        source=(torch.arange(slots) >= positives).long().repeat(rows, 1) if source is None else torch.as_tensor(source),
        positive_ids=doc_ids[:, :positives] if positive_ids is None else torch.as_tensor(positive_ids),
        teacher=teacher,
        positives=positives,
    )


def make_candidates(
    scores: Any,
    positive: Any = None,
    valid: Any = None,
    ids: Any = None,
    source: Any = None,
    names: tuple[str, ...] = ("positive", "it"),
    **more: Any,
) -> Candidates:
    """A score matrix; unless given, column 0 is each row's positive, all is valid and every document is another."""
    scores = torch.as_tensor(scores)
    if positive is None:
        positive = torch.zeros(scores.shape, dtype=torch.bool)
        positive[:, 0] = True
    positive = torch.as_tensor(positive)
    return Candidates(
        scores=scores,
        ids=torch.arange(scores.numel()).reshape(scores.shape) if ids is None else torch.as_tensor(ids),
        positive=positive,
        valid=torch.ones_like(positive) if valid is None else torch.as_tensor(valid),
        source=(~positive).long() if source is None else torch.as_tensor(source),
        names=names,
        **more,
    )


def make_texts(texts: int | Iterable[str], prefix: str = "d") -> Texts:
    """A column of these texts; for a number, of that many different ones."""
    texts = [f"{prefix} text {i}" for i in range(texts)] if isinstance(texts, int) else list(texts)
    return Texts.of([f"{prefix}{i}" for i in range(len(texts))], texts)


def make_qrels(pairs: Iterable[Any]) -> Qrels:
    """Judgements from (query, doc) or (query, doc, score)."""
    columns = list(zip(*[(*pair, 1)[:3] for pair in pairs], strict=True)) or [(), (), ()]
    return Qrels(*(np.array(c, t) for c, t in zip(columns, (np.int32, np.int32, np.float32), strict=True)))


def make_data(
    labels: Iterable[Any],
    docs: int | Iterable[str] = 10,
    queries: int | Iterable[str] = 3,
    given: Any = None,
    name: str = "tiny",
    **splits: Iterable[Any],
) -> RetrievalData:
    """A retrieval set from (query, doc) pairs of the train split, and of others by name."""
    asked = make_texts(queries, "q")
    if given is not None:
        rows, values = np.array(given, np.int64).reshape(-1, 2).T
        given = Ragged.of(rows, values, len(asked))
    qrels = {split: make_qrels(pairs) for split, pairs in {"train": labels, **splits}.items()}
    return RetrievalData(name, make_texts(docs), asked, qrels, given=given)


def make_model(data: RetrievalData, cache: Path, seed: int = 0, **more: Any) -> Model:
    """A static model of random weights over this data."""
    recipe = Static(**{"dim": 16, "vocab_size": 300, **more})
    tokenizer = recipe.tokenizer(data.corpus)
    torch.manual_seed(seed)
    towers = Towers(recipe, recipe.build(tokenizer))
    return Model.over(data, towers, recipe, tokenizer, "32-true", cache)


def make_training(labels: Iterable[Any], **more: Any) -> TrainingSet:
    """The training set of such data."""
    return TrainingSet(make_data(labels, **more))
