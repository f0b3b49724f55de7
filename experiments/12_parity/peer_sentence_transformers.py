"""sentence-transformers' losses, through its own model over the same weights, against ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from rows import Row, training_row, write
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses, modules
from sentence_transformers.util import pairwise_cos_sim
from tiny import ROWS, SLOTS, TEACHER, WIDTH, Outcome, Tensor, features, folder, ours, outcome

PEER = "sentence-transformers"
MNRL = "negatives=[in_batch,given] loss.infonce.temperature=0.05"
PAIRS = "negatives=[in_batch] loss.infonce.temperature=0.05"


def model() -> SentenceTransformer:
    """Their model over the same folder: transformer, mean pooling, unit vectors."""
    network = modules.Transformer(str(folder()), model_kwargs={"attn_implementation": "eager"})
    made = SentenceTransformer(modules=[network, modules.Pooling(WIDTH, "mean"), modules.Normalize()], device="cpu")

    return made.double().train()


def columns(slots: int) -> list[dict[str, Tensor]]:
    """A column of queries, one of positives, and one of each negative."""
    queries, docs = features(slots)
    return [queries, *({key: value[place::slots] for key, value in docs.items()} for place in range(slots))]


def their(loss: Callable[[SentenceTransformer], Any], slots: int = SLOTS, labels: Tensor | None = None) -> Outcome:
    """Run one of their losses."""
    student = model()
    made = loss(student)
    return outcome(made(columns(slots), labels), student[0].auto_model)


def row(what: str, words: str, loss: Callable, slots: int = SLOTS, labels: Tensor | None = None, note: str = "") -> Row:
    """Compare what our words make with theirs."""
    teacher = None if labels is None else labels
    there = their(loss, slots, None if labels is None else labels[:, :slots])
    return training_row(PEER, what, words, ours(*words.split(), slots=slots, teacher=teacher), there, note)


def hardness(mode: str, sources: str) -> Row:
    """Their three modes name negatives by where they come from; ours by the source's name."""
    words = f"{MNRL} loss.infonce.hardness=5 loss.infonce.hardness_sources={sources}"
    return row(
        f"MultipleNegativesRankingLoss, hardness_mode={mode}",
        words,
        lambda m: losses.MultipleNegativesRankingLoss(m, hardness_mode=mode, hardness_strength=5.0),
    )


def blocks() -> Row:
    """Pairs alone: their document-document block holds the others' hard negatives too, ours their positives."""
    words = f"{PAIRS.replace('in_batch', 'in_batch,blocks')} negatives.blocks.of=[query_query,document_document]"
    return row(
        "MultipleNegativesRankingLoss, joint with query_to_query and doc_to_doc, pairs",
        words,
        lambda m: losses.MultipleNegativesRankingLoss(m, directions=("query_to_doc", "query_to_query", "doc_to_doc")),
        slots=1,
        note="doc_to_query joint is left out: theirs counts the positive a second time there, ours does not",
    )


def triplet() -> Row:
    """Their loss takes one negative a row; the reduction that counts every one is their mean."""
    words = "loss=triplet loss.triplet.margin=0.5 loss.triplet.reduction=mean negatives=[given]"
    cosine = losses.TripletDistanceMetric.COSINE
    return row(
        "TripletLoss, cosine distance",
        words,
        lambda m: losses.TripletLoss(m, cosine, triplet_margin=0.5),
        slots=2,
        note="our default counts only what is inside the margin (reduction=violating); Euclidean distance we have not",
    )


ROWS_OF_TABLE = [
    lambda: row("MultipleNegativesRankingLoss, pairs", PAIRS, losses.MultipleNegativesRankingLoss, slots=1),
    lambda: row("MultipleNegativesRankingLoss, hard negatives", MNRL, losses.MultipleNegativesRankingLoss),
    lambda: row(
        "MultipleNegativesSymmetricRankingLoss",
        f"{MNRL} loss.infonce.symmetric=true",
        losses.MultipleNegativesSymmetricRankingLoss,
    ),
    lambda: row(
        "CachedMultipleNegativesRankingLoss, mini-batches of 2",
        f"{MNRL} encoder.grad_cache=true encoder.tokens=24",
        lambda m: losses.CachedMultipleNegativesRankingLoss(m, mini_batch_size=2),
    ),
    blocks,
    lambda: hardness("in_batch_negatives", "[in_batch]"),
    lambda: hardness("hard_negatives", "[given]"),
    lambda: hardness("all_negatives", "null"),
    lambda: row(
        "MatryoshkaLoss over MultipleNegativesRankingLoss",
        f"{MNRL} encoder.matryoshka={{4:0.5,8:1.0}}",
        lambda m: losses.MatryoshkaLoss(m, losses.MultipleNegativesRankingLoss(m), [4, 8, WIDTH], [0.5, 1.0, 1.0]),
    ),
    lambda: row(
        "MarginMSELoss, several negatives",
        "loss=margin_mse negatives=[given]",
        lambda m: losses.MarginMSELoss(m, pairwise_cos_sim),
        labels=TEACHER,
    ),
    lambda: row(
        "DistillKLDivLoss",
        "loss=kl negatives=[given] loss.kl.temperature=1 loss.kl.teacher_temperature=1",
        lambda m: losses.DistillKLDivLoss(m, pairwise_cos_sim),
        labels=TEACHER,
    ),
    lambda: row(
        "DistillKLDivLoss, temperatures 0.5 and 2",
        "loss=kl negatives=[given] loss.kl.temperature=0.5 loss.kl.teacher_temperature=2 loss.kl.weight=0.25",
        lambda m: losses.DistillKLDivLoss(m, pairwise_cos_sim, student_temperature=0.5, teacher_temperature=2.0),
        labels=TEACHER,
        note="theirs is multiplied by the student's temperature squared: here loss.kl.weight",
    ),
    triplet,
]

if __name__ == "__main__":
    torch.manual_seed(0)
    assert ROWS > 1
    write(ROWS_OF_TABLE)
