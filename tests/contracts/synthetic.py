"""Small made-up batches and score matrices, for all tests."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from hardneg.data.tables import Qrels, Ragged, RetrievalData, Texts
from hardneg.data.training_set import TrainingSet
from hardneg.matrix.batch import Batch, Tokens
from hardneg.matrix.candidates import Candidates


def random_units(*shape, seed=0):
    """Random unit vectors that want a gradient."""
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return F.normalize(made, dim=-1).requires_grad_()


def make_tokens(rows, width=3):
    return Tokens(
        torch.arange(1, rows * width + 1).reshape(rows, width),
        torch.ones(rows, width, dtype=torch.bool),
        torch.full((rows,), width),
    )


def make_batch(doc_ids, query_ids=None, positive_ids=None, source=None, teacher=None, positives=1):
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


def make_candidates(scores, positive=None, valid=None, ids=None, source=None, names=("positive", "it"), **more):
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


def make_texts(texts, prefix="d"):
    """A column of these texts; of a number, so many different ones."""
    texts = [f"{prefix} text {i}" for i in range(texts)] if isinstance(texts, int) else list(texts)
    return Texts.of([f"{prefix}{i}" for i in range(len(texts))], texts)


def make_qrels(pairs):
    """Judgements from (query, doc) or (query, doc, score)."""
    columns = list(zip(*[(*pair, 1)[:3] for pair in pairs], strict=True)) or [(), (), ()]
    return Qrels(*(np.array(c, t) for c, t in zip(columns, (np.int32, np.int32, np.float32), strict=True)))


def make_data(labels, docs=10, queries=3, given=None, name="tiny", **splits):
    """A retrieval set from (query, doc) pairs of the train split, and of others by name."""
    queries = make_texts(queries, "q")
    if given is not None:
        given = Ragged.of(*np.array(given, np.int64).reshape(-1, 2).T, len(queries))
    qrels = {split: make_qrels(pairs) for split, pairs in {"train": labels, **splits}.items()}
    return RetrievalData(name, make_texts(docs), queries, qrels, given=given)


def make_model(data, cache, seed=0, **more):
    """A static model of random weights over this data."""
    from hardneg.encoders.static import Static
    from hardneg.encoders.towers import Towers
    from hardneg.retrieval.model import Model

    recipe = Static(**{"dim": 16, "vocab_size": 300, **more})
    tokenizer = recipe.tokenizer(data.corpus)
    torch.manual_seed(seed)
    towers = Towers(recipe, recipe.build(tokenizer))
    return Model.over(data, towers, recipe, tokenizer, "32-true", cache)


def make_training(labels, **more):
    """The training set of such data."""
    return TrainingSet(make_data(labels, **more))
