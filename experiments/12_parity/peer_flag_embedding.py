"""FlagEmbedding's embedder, its own forward pass and losses, against ours."""

from __future__ import annotations

from typing import Any

from FlagEmbedding.finetune.embedder.encoder_only.base.modeling import BiEncoderOnlyEmbedderModel
from rows import Row, training_row, write
from tiny import TEACHER, Tensor, features, ours, theirs
from transformers import BertModel

PEER = "FlagEmbedding"
IN_BATCH = "negatives=[in_batch,given] loss.infonce.temperature=0.02"
OWN = "negatives=[given] loss.infonce.temperature=0.02"


def flag(alone: bool = False, teacher: Tensor | None = None, **more: Any) -> Any:
    """A function from BERT to FlagEmbedding's loss."""

    def loss(model: BertModel) -> Tensor:
        settings = {"temperature": 0.02, "sentence_pooling_method": "mean", "normalize_embeddings": True, **more}
        embedder = BiEncoderOnlyEmbedderModel(model, **settings).train()
        queries, docs = features()
        scores = None if teacher is None else teacher.flatten().tolist()
        return embedder(queries, docs, teacher_scores=scores, no_in_batch_neg_flag=alone).loss

    return loss


def row(what: str, words: str, peer: Any, note: str = "", teacher: Tensor | None = None, constant: float = 0.0) -> Row:
    """Compare what our words make with theirs."""
    return training_row(PEER, what, words, ours(*words.split(), teacher=teacher), theirs(peer), note, constant)


NO_ENTROPY = "their value is the cross-entropy with the teacher, ours the divergence: less by its entropy, added here"
SHARES = TEACHER.softmax(dim=1)
ENTROPY = float(-(SHARES * SHARES.log()).sum(dim=1).mean())

ROWS_OF_TABLE = [
    lambda: row("InfoNCE, in-batch and hard negatives", IN_BATCH, flag()),
    lambda: row("InfoNCE, own hard negatives only (no_in_batch_neg)", OWN, flag(alone=True)),
    lambda: row(
        "InfoNCE, CLS pooling", f"{IN_BATCH} encoder.pooling=cls", flag(sentence_pooling_method="cls")
    ),
    lambda: row(
        "InfoNCE, dot products", "negatives=[in_batch,given] loss.infonce.temperature=1 encoder.normalize=false",
        flag(normalize_embeddings=False, temperature=1.0),
    ),
    lambda: row(
        "kl_div beside in-batch InfoNCE", f"loss=[kl,infonce] {IN_BATCH} loss.kl.temperature=0.02", flag(teacher=TEACHER),
        NO_ENTROPY, TEACHER, ENTROPY,
    ),
    lambda: row(
        "kl_div beside InfoNCE over own negatives", f"loss=[kl,infonce] {OWN} loss.kl.temperature=0.02",
        flag(alone=True, teacher=TEACHER), NO_ENTROPY, TEACHER, ENTROPY,
    ),
]  # fmt: skip

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
