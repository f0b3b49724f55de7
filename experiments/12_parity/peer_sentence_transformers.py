"""sentence-transformers' losses, through its own model over the same weights, against ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rows import Row, training_row, write
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses, modules
from sentence_transformers.util import pairwise_cos_sim
from tiny import ROWS, SLOTS, TEACHER, WIDTH, WORDS, Outcome, Tensor, features, folder, ours, outcome

PEER = "sentence-transformers"
MNRL = "negatives=[in_batch,given] loss.infonce.temperature=0.05"
PAIRS = "negatives=[in_batch] loss.infonce.temperature=0.05"


GUIDED = "filter=[guide] +encoder@filter.guide.encoder=transformer filter.guide.precision=32-true"
BLOCKS = "negatives.blocks.of=[query_query,document_document]"
DISTILLED = "loss=embed_distill negatives=[given] loss.embed_distill.documents=all"
REVERSED = tuple(reversed(WORDS))


def model(place: Path | None = None) -> SentenceTransformer:
    """Their model over the same folder, or another: transformer, mean pooling, unit vectors."""
    network = modules.Transformer(str(place or folder()), model_kwargs={"attn_implementation": "eager"})
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


def gist(
    what: str, words: str, slots: int, guide: Path, settings: dict[str, Any], cached: int = 0, note: str = ""
) -> Row:
    """Their guide is asked in each step, ours has been asked before; of theirs `cached` is the mini-batch."""
    unguided = ours(*words.split(), slots=slots)
    words = f"{words} {GUIDED} filter.guide.encoder.model={guide} filter.guide.encoder.pooling=mean"
    words += "".join(f" filter.guide.{key}={settings[key]}" for key in ("margin_strategy", "margin") if key in settings)
    loss = losses.CachedGISTEmbedLoss if cached else losses.GISTEmbedLoss
    more = {"mini_batch_size": cached} if cached else {}
    made = row(
        f"{loss.__name__}, {what}",
        words,
        lambda m: loss(m, model(guide).eval(), temperature=0.05, **settings, **more),
        slots=slots,
        note=note,
    )
    masked = abs(unguided.loss - ours(*words.split(), slots=slots).loss)
    assert masked > 1e-3, "the guide has masked nothing"
    return replace(made, here=made.here.replace(str(guide), "GUIDE"))


def spread() -> Row:
    """Their terms are two, beside a loss over scores."""

    def loss(m: SentenceTransformer) -> Any:
        ranking, gor = losses.MultipleNegativesRankingLoss(m), losses.GlobalOrthogonalRegularizationLoss(m)
        return lambda columns, labels: ranking(columns, labels) + sum(gor(columns, labels).values())

    return row(
        "GlobalOrthogonalRegularizationLoss beside MultipleNegativesRankingLoss",
        f"loss=[infonce,gor] {MNRL} loss.gor.documents=all",
        loss,
        note="a text that is in a batch twice is no pair of ours, and one of theirs",
    )


def distilled(distance: str, wide: int) -> Row:
    """A teacher's random vectors; their projection, where theirs are wider, begins as ours."""
    seeded = torch.Generator().manual_seed(4)
    queries, docs = (torch.randn(*shape, wide, generator=seeded) for shape in ((ROWS,), (ROWS, SLOTS)))
    projection = None if wide == WIDTH else torch.nn.Linear(WIDTH, wide)

    def loss(m: SentenceTransformer) -> Any:
        made = losses.EmbedDistillLoss(m, distance, None if projection is None else wide)
        if projection is not None:
            made.projection.double().load_state_dict(projection.state_dict())
        return made

    words = f"{DISTILLED} loss.embed_distill.distance={distance}"
    there = their(loss, labels=torch.cat([queries[:, None], docs], dim=1))
    here = ours(*words.split(), vectors=(queries, docs), projection=projection)
    what = f"EmbedDistillLoss, {distance}" + ("" if projection is None else f", projection to {wide}")
    return training_row(PEER, what, words, here, there)


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
    lambda: gist("pairs", f"{PAIRS.replace('in_batch', 'in_batch,blocks')} {BLOCKS}", 1, folder(1), {}),
    lambda: gist(
        "a hard negative, absolute margin",
        f"{MNRL.replace('in_batch', 'in_batch,blocks')} {BLOCKS}",
        *(2, folder(1), {"margin": 0.05}),
    ),
    lambda: gist(
        "a hard negative, relative margin, a guide with other tokens",
        f"{MNRL.replace('in_batch', 'in_batch,blocks')} {BLOCKS}",
        *(2, folder(1, REVERSED), {"margin_strategy": "relative", "margin": 0.1}),
        note="theirs decodes our tokens to have words for the guide, ours has the words",
    ),
    lambda: gist(
        "hard negatives, queries with documents only, mini-batches of 2",
        f"{MNRL} encoder.grad_cache=true encoder.tokens=24",
        *(SLOTS, folder(1), {"margin": 0.05, "contrast_anchors": False, "contrast_positives": False}, 2),
    ),
    spread,
    lambda: row(
        "CoSENTLoss",
        "loss=cosent negatives=[given] loss.cosent.temperature=0.05",
        losses.CoSENTLoss,
        slots=1,
        labels=TEACHER[:, :1],
    ),
    *(partial(distilled, distance, wide) for distance, wide in (("cosine", WIDTH), ("l2", WIDTH), ("mse", 24))),
]

if __name__ == "__main__":
    torch.manual_seed(0)
    assert ROWS > 1
    write(ROWS_OF_TABLE)
