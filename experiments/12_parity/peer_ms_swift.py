"""ms-swift's InfoNCE for embedding models (Qwen3-Embedding's training code) against ours."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import torch
from rows import Row, training_row, write
from swift.loss.embedding import InfonceLoss
from tiny import ROWS, SLOTS, Tensor, embedded, ours, theirs
from transformers import BertModel

PEER = "ms-swift"
IN_BATCH = "negatives=[in_batch,given] loss.infonce.temperature=0.1"
MARGIN = "filter=[known_positives,in_batch_margin] filter.in_batch_margin.margin=0.02"
BLOCKS = "loss.infonce.temperature=0.1 negatives=[in_batch,blocks]"

EQUATION_1 = (
    f"{BLOCKS.replace('blocks', 'blocks,given')} negatives.blocks.of=[query_query]"
    " +negatives@negatives.documents=blocks negatives.documents.of=[document_document]"
    " negatives.documents.hard=true negatives.documents.own=true"
    f" {MARGIN} filter.in_batch_margin.sources=[in_batch,given,blocks]"
)


def infonce(slots: int = SLOTS, **switches: str) -> Any:
    """A function from BERT to their loss, which is set by the environment."""

    def run(model: BertModel) -> Tensor:
        queries, docs = embedded(model, slots)
        sentences = torch.cat([queries[:, None], docs], dim=1).flatten(0, 1)  # anchor, positive, negatives, row by row
        labels = (torch.arange(slots) == 0).long().repeat(ROWS)
        os.environ.update({f"INFONCE_{key.upper()}": value for key, value in switches.items()})
        try:
            return InfonceLoss(None, SimpleNamespace())({"last_hidden_state": sentences}, labels)
        finally:
            for key in switches:
                del os.environ[f"INFONCE_{key.upper()}"]

    return run


def row(what: str, words: str, peer: Any, note: str = "", slots: int = SLOTS) -> Row:
    """Compare what our words make with theirs."""
    return training_row(PEER, what, words, ours(*words.split(), slots=slots), theirs(peer), note)


ROWS_OF_TABLE = [
    lambda: row("infonce, in-batch and hard negatives", IN_BATCH, infonce()),
    lambda: row("infonce, INFONCE_USE_BATCH=False", IN_BATCH.replace("in_batch,", ""), infonce(use_batch="False")),
    lambda: row(
        "infonce, INFONCE_MASK_FAKE_NEGATIVE, margin 0.02",
        f"{IN_BATCH} {MARGIN} filter.in_batch_margin.sources=[in_batch,given]",
        infonce(mask_fake_negative="True", fake_neg_margin="0.02"),
        note="theirs masks a row's own hard negatives too; ours in_batch alone unless `sources` says so",
    ),
    lambda: row(
        "infonce, INFONCE_INCLUDE_QQ, pairs",
        f"{BLOCKS} negatives.blocks.of=[query_query]",
        infonce(1, include_qq="True"),
        slots=1,
    ),
    lambda: row(
        "infonce, INFONCE_INCLUDE_QQ with the mask, pairs",
        f"{BLOCKS} negatives.blocks.of=[query_query] {MARGIN} filter.in_batch_margin.sources=[in_batch,blocks]",
        infonce(1, include_qq="True", mask_fake_negative="True", fake_neg_margin="0.02"),
        slots=1,
    ),
    lambda: row(
        "infonce, INFONCE_INCLUDE_QQ, hard negatives",
        f"{BLOCKS.replace('blocks', 'blocks,given')} negatives.blocks.of=[query_query]",
        infonce(include_qq="True"),
    ),
    lambda: row(
        "infonce, INFONCE_INCLUDE_QQ and _DD, pairs",
        f"{BLOCKS} negatives.blocks.of=[query_query,document_document]",
        infonce(1, include_qq="True", include_dd="True"),
        slots=1,
    ),
    lambda: row(
        "infonce, INFONCE_INCLUDE_QQ and _DD with the mask, hard negatives (Qwen3-Embedding's equation 1)",
        EQUATION_1,
        infonce(include_qq="True", include_dd="True", mask_fake_negative="True", fake_neg_margin="0.02"),
        note="theirs has a row's own hard negatives in the document-document block, the paper and experiment=qwen3 have"
        " not: here negatives.documents.own=true",
    ),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
