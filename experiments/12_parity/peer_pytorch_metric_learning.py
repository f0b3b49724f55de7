"""pytorch-metric-learning's losses against ours."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from rows import Row, training_row, write
from tiny import ROWS, SLOTS, Tensor, embedded, ours, theirs
from transformers import BertModel

PEER = "pytorch-metric-learning"
TRIPLET = "loss=triplet negatives=[given] loss.triplet.margin=0.3"


def triplets(reducer: Any, rows: slice = slice(None), hardest: bool = False) -> Any:
    """A function from BERT to their triplet loss over each query, its positive and its negatives."""

    def run(model: BertModel) -> Tensor:
        queries, docs = (side[rows] for side in embedded(model))
        count = len(queries)
        everything = torch.cat([queries, docs.flatten(0, 1)])
        anchors = torch.arange(count)
        firsts = count + anchors * SLOTS
        chosen = torch.arange(1, SLOTS).expand(count, -1)
        if hardest:
            scores = (queries[:, None] * docs[:, 1:]).sum(-1)
            chosen = 1 + scores.argmax(dim=1, keepdim=True)
        each = chosen.shape[1]
        indices = (
            anchors.repeat_interleave(each),
            firsts.repeat_interleave(each),
            (firsts[:, None] + chosen).flatten(),
        )
        loss = losses.TripletMarginLoss(margin=0.3, distance=distances.CosineSimilarity(), reducer=reducer)
        return loss(everything, torch.zeros(len(everything)), indices_tuple=indices)

    return run


def violating(model: BertModel) -> Tensor:
    """Theirs averages over what violates the margin: query by query, as we take the mean of queries."""
    each = [triplets(reducers.AvgNonZeroReducer(), slice(i, i + 1))(model) for i in range(ROWS)]
    return torch.stack(each).mean()


def several_positives(model: BertModel) -> Tensor:
    """Their NTXent with two positives a query: each pair against the query's negatives only."""
    queries, docs = embedded(model)
    found = []
    for query, own in zip(queries, docs, strict=True):
        pairs = (torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([0, 0]), torch.tensor([3, 4]))
        loss = losses.NTXentLoss(temperature=0.05)
        found.append(loss(torch.cat([query[None], own]), torch.zeros(1 + SLOTS), indices_tuple=pairs))
    return torch.stack(found).mean()


def in_batch_hardest(model: BertModel) -> Tensor:
    """Their BatchHardMiner over queries and positives, with the queries as anchors."""
    queries, docs = embedded(model, slots=1)
    labels, of_docs = torch.arange(ROWS), torch.arange(ROWS)  # of one tensor it would take out the diagonal
    anchors, firsts, negatives = miners.BatchHardMiner(distance=distances.CosineSimilarity())(
        queries, labels, docs[:, 0], of_docs
    )
    indices = (anchors, firsts, negatives)
    loss = losses.TripletMarginLoss(margin=0.3, distance=distances.CosineSimilarity(), reducer=reducers.MeanReducer())
    return loss(queries, labels, indices_tuple=indices, ref_emb=docs[:, 0], ref_labels=of_docs)


def row(what: str, words: str, peer: Any, note: str = "", **more: Any) -> Row:
    """Compare what our words make with theirs."""
    return training_row(PEER, what, words, ours(*words.split(), **more), theirs(peer), note)


ROWS_OF_TABLE = [
    lambda: row(
        "TripletMarginLoss, cosine, MeanReducer",
        f"{TRIPLET} loss.triplet.reduction=mean",
        triplets(reducers.MeanReducer()),
    ),
    lambda: row(
        "TripletMarginLoss, AvgNonZeroReducer (its default) query by query",
        f"{TRIPLET} loss.triplet.reduction=violating",
        violating,
        note="over a batch theirs is the mean of all triplets that violate the margin, ours first that of each query's",
    ),
    lambda: row(
        "TripletMarginLoss, hardest of the given negatives",
        f"{TRIPLET} loss.triplet.reduction=hardest",
        triplets(reducers.MeanReducer(), hardest=True),
    ),
    lambda: row(
        "BatchHardMiner and TripletMarginLoss, pairs",
        "loss=triplet negatives=[in_batch] loss.triplet.margin=0.3 loss.triplet.reduction=hardest",
        in_batch_hardest,
        slots=1,
    ),
    lambda: row(
        "NTXentLoss, two positives a query",
        "negatives=[given] loss.infonce.temperature=0.05",
        several_positives,
        positives=2,
        note="over a batch theirs is the mean of all pairs, ours first that of each query's",
    ),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
