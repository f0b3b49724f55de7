"""Lightning IR's losses over scores against ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from lightning_ir.loss import in_batch, listwise, pairwise
from rows import Row, training_row, write
from tiny import ROWS, SLOTS, TEACHER, Tensor, embedded, ours, theirs
from transformers import BertModel

PEER = "lightning-ir"
FIRST = (torch.arange(SLOTS) == 0).long().expand(ROWS, SLOTS)  # the positive's label


def scores(model: BertModel, slots: int = SLOTS) -> Tensor:
    """Each query's own documents, as their bi-encoder's dot product scores them."""
    queries, docs = embedded(model, slots)
    return (queries[:, None] * docs).sum(-1)


def over_list(loss: Any, targets: Tensor, temperature: float = 1.0) -> Any:
    """A function from BERT to one of their losses of a list."""

    def run(model: BertModel) -> Tensor:
        found = scores(model, targets.shape[1]) / temperature
        return loss.compute_loss(SimpleNamespace(scores=found), SimpleNamespace(targets=targets))

    return run


def in_batch_cross_entropy(model: BertModel) -> Tensor:
    """Their in-batch loss, which gets a row's positive and then what their own indices call its negatives."""
    loss = in_batch.InBatchCrossEntropy(pos_sampling_technique="first", neg_sampling_technique="all_and_non_first")
    queries, docs = embedded(model)
    own = SimpleNamespace(scores=(queries[:, None] * docs).sum(-1))
    positives, negatives = loss.get_ib_idcs(own, None)
    everything = queries @ docs.flatten(0, 1).T
    rows = torch.arange(ROWS)[:, None]
    columns = torch.cat([positives.view(ROWS, -1), negatives.view(ROWS, -1)], dim=1)
    return loss.compute_loss(SimpleNamespace(scores=everything[rows, columns] / 0.05))


def row(what: str, words: str, peer: Any, note: str = "", slots: int = SLOTS, teacher: Tensor | None = None) -> Row:
    """Compare what our words make with theirs."""
    return training_row(PEER, what, words, ours(*words.split(), slots=slots, teacher=teacher), theirs(peer), note)


ROWS_OF_TABLE = [
    lambda: row(
        "InBatchCrossEntropy, all others' documents and own negatives",
        "negatives=[in_batch,given] loss.infonce.temperature=0.05",
        in_batch_cross_entropy,
    ),
    lambda: row(
        "InfoNCE over the list",
        "negatives=[given] loss.infonce.temperature=0.05",
        over_list(listwise.InfoNCE(), FIRST, 0.05),
    ),
    lambda: row(
        "KLDivergence",
        "loss=kl negatives=[given] loss.kl.temperature=0.05",
        over_list(listwise.KLDivergence(), TEACHER, 0.05),
        teacher=TEACHER,
    ),
    lambda: row(
        "SupervisedMarginMSE, one negative",
        "loss=margin_mse negatives=[given]",
        over_list(pairwise.SupervisedMarginMSE(), TEACHER[:, :2].sort(1, descending=True).values),
        slots=2,
        teacher=TEACHER[:, :2].sort(1, descending=True).values,
        note="of several, theirs compares every pair that the teacher orders, negatives with negatives too; ours, like"
        " sentence-transformers, only the positive with each",
    ),
    lambda: row(
        "RankNet, labels",
        "loss=ranknet negatives=[given]",
        over_list(pairwise.RankNet(), FIRST),
        note="their temperature multiplies, ours divides; with teacher scores as labels theirs orders all pairs",
    ),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
