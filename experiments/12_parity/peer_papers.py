"""Formulas of code that is not on PyPI, written out apart from ours: SimLM, contrastors (Nomic), ANCE."""

from __future__ import annotations

from typing import Any

import torch
from rows import Row, training_row, write
from tiny import ROWS, SLOTS, TEACHER, Tensor, embedded, ours, theirs
from torch.nn import functional as F
from transformers import BertModel

T = 0.02
FULL = f"negatives=[in_batch,given,blocks] loss.infonce.temperature={T}"


def simlm_scores(queries: Tensor, docs: Tensor) -> Tensor:
    """Queries with all passages, then each first passage with the others' queries, and like with like (1/t each)."""
    firsts, apart = docs[:, 0], torch.full((ROWS,), -torch.inf).diag().nan_to_num(0.0, neginf=-torch.inf)
    blocks = [firsts @ queries.T, queries @ queries.T, firsts @ firsts.T]
    return torch.cat([queries @ docs.flatten(0, 1).T, *(block + apart for block in blocks)], dim=1) / T


def simlm(model: BertModel) -> Tensor:
    """full_contrastive_loss of microsoft/unilm simlm/src/utils.py, with l2_normalize."""
    return F.cross_entropy(simlm_scores(*embedded(model)), torch.arange(ROWS) * SLOTS)


def simlm_kd(model: BertModel) -> Tensor:
    """Its distillation: KL over a query's own passages, and 0.2 of the contrastive loss (biencoder_model.py)."""
    scores = simlm_scores(*embedded(model))
    own = scores[:, : ROWS * SLOTS].unflatten(1, (ROWS, SLOTS))[torch.arange(ROWS), torch.arange(ROWS)]
    wanted = TEACHER.log_softmax(dim=1)
    kl = (wanted.exp() * (wanted - own.log_softmax(dim=1))).sum(dim=1).mean()
    return kl + 0.2 * F.cross_entropy(scores, torch.arange(ROWS) * SLOTS)


def contrastors(model: BertModel) -> Tensor:
    """clip_loss of nomic-ai/contrastors src/contrastors/loss.py on one device: queries against all documents."""
    queries, docs = embedded(model)
    return F.cross_entropy(50 * queries @ docs.flatten(0, 1).T, torch.arange(ROWS) * SLOTS)


def contrastors_both_ways(model: BertModel) -> Tensor:
    """The same with bidirectional: the sum of both directions."""
    queries, docs = embedded(model, slots=1)
    scores = 50 * queries @ docs[:, 0].T
    return F.cross_entropy(scores, torch.arange(ROWS)) + F.cross_entropy(scores.T, torch.arange(ROWS))


def ance(model: BertModel) -> Tensor:
    """The negative log-likelihood of a pair's two dot products (microsoft/ANCE model/models.py)."""
    queries, docs = embedded(model, slots=2, normalize=False)
    pair = (queries[:, None] * docs).sum(-1)
    return -(pair[:, 0].exp() / pair.exp().sum(1)).log().mean()


def row(peer: str, what: str, words: str, formula: Any, note: str = "", **more: Any) -> Row:
    """Compare what our words make with the formula."""
    return training_row(f"{peer} (formula)", what, words, ours(*words.split(), **more), theirs(formula), note)


ROWS_OF_TABLE = [
    lambda: row("SimLM", "full contrastive loss, hard negatives", FULL, simlm),
    lambda: row(
        "SimLM",
        "distillation: KL + 0.2 contrastive",
        f"loss=[kl,infonce] {FULL} loss.kl.temperature={T} loss.infonce.weight=0.2",
        simlm_kd,
        teacher=TEACHER,
    ),
    lambda: row(
        "contrastors",
        "clip_loss, hard negatives",
        f"negatives=[in_batch,given] loss.infonce.temperature={T}",
        contrastors,
    ),
    lambda: row(
        "contrastors",
        "clip_loss, bidirectional, pairs",
        f"negatives=[in_batch] loss.infonce.temperature={T} loss.infonce.symmetric=true loss.infonce.weight=2",
        contrastors_both_ways,
        "theirs is the sum of both directions, ours the mean: here loss.infonce.weight",
        slots=1,
    ),
    lambda: row("ANCE", "pairwise NLL", "loss=ranknet negatives=[given] encoder.normalize=false", ance, slots=2),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
