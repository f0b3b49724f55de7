"""FlagEmbedding's embedder, its own forward pass and losses, against ours."""

from __future__ import annotations

import socket
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from FlagEmbedding.finetune.embedder.encoder_only.base.modeling import BiEncoderOnlyEmbedderModel
from rows import Row, training_row, write
from tiny import ROWS, TEACHER, Tensor, batch, features, folder, of_step, ours, step, theirs
from transformers import BertModel

PEER = "FlagEmbedding"
IN_BATCH = "negatives=[in_batch,given] loss.infonce.temperature=0.02"
OWN = "negatives=[given] loss.infonce.temperature=0.02"


def flag(alone: bool = False, teacher: Tensor | None = None, rows: range = range(ROWS), **more: Any) -> Any:
    """A function from BERT to FlagEmbedding's loss."""

    def loss(model: BertModel) -> Tensor:
        settings = {"temperature": 0.02, "sentence_pooling_method": "mean", "normalize_embeddings": True, **more}
        embedder = BiEncoderOnlyEmbedderModel(model, **settings).train()
        queries, docs = features(rows=rows)
        scores = None if teacher is None else teacher.flatten().tolist()
        return embedder(queries, docs, teacher_scores=scores, no_in_batch_neg_flag=alone).loss

    return loss


def row(what: str, words: str, peer: Any, note: str = "", teacher: Tensor | None = None, constant: float = 0.0) -> Row:
    """Compare what our words make with theirs."""
    return training_row(PEER, what, words, ours(*words.split(), teacher=teacher), theirs(peer), note, constant)


NO_ENTROPY = "their value is the cross-entropy with the teacher, ours the divergence: less by its entropy, added here"
SHARES = TEACHER.softmax(dim=1)
BEST_FIRST = TEACHER.sort(dim=1, descending=True).values
ENTROPY = float(-(SHARES * SHARES.log()).sum(dim=1).mean())

WORLD = 2


def rank(number: int, port: int, out: str) -> None:
    """Two queries on each of two ranks, by their step and by ours, with the gradients added up as DDP would."""
    folder()  # before there are ranks, of which only the first would write it
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=number, world_size=WORLD)
    rows = range(2 * number, 2 * number + 2)
    both = [
        of_step(step(*IN_BATCH.split()), batch(rows=rows)),
        theirs(flag(rows=rows, negatives_cross_device=True)),
    ]
    for found in both:
        loss = torch.tensor(found.loss)
        for value in (loss, *found.gradients.values()):
            dist.all_reduce(value)
        found.loss = loss.item() / WORLD
    for gradient in both[0].gradients.values():
        gradient /= WORLD
    if number == 0:
        torch.save(both, out)
    dist.destroy_process_group()


def cross_device() -> Row:
    """Their cross-device negatives: every rank's documents, with gradient to its own alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = str(folder() / "ranks.pt")
    mp.spawn(rank, (port, out), WORLD)
    here, there = torch.load(out, weights_only=False)
    note = (
        "every rank of theirs computes the whole loss with a gradient to its own texts: the ranks' sum is the gradient,"
        " and DDP's mean divides it by the number of devices; ours is not divided"
    )
    return training_row(PEER, "InfoNCE, negatives_cross_device, two ranks", IN_BATCH, here, there, note)


ROWS_OF_TABLE = [
    lambda: row("InfoNCE, in-batch and hard negatives", IN_BATCH, flag()),
    lambda: row("InfoNCE, own hard negatives only (no_in_batch_neg)", OWN, flag(alone=True)),
    lambda: row("InfoNCE, CLS pooling", f"{IN_BATCH} encoder.pooling=cls", flag(sentence_pooling_method="cls")),
    lambda: row(
        "InfoNCE, dot products",
        "negatives=[in_batch,given] loss.infonce.temperature=1 encoder.normalize=false",
        flag(normalize_embeddings=False, temperature=1.0),
    ),
    lambda: row(
        "InfoNCE with use_mrl",
        f"{IN_BATCH} encoder.matryoshka={{4:1,8:1}} loss.infonce.weight={1 / 3!r}",
        flag(use_mrl=True, mrl_dims=[4, 8, 16]),
        "theirs is the mean over the widths, ours their sum with a weight each: here loss.infonce.weight",
    ),
    lambda: row(
        "m3_kd_loss, the documents in the teacher's order",
        "loss=m3_kd negatives=[in_batch,given] loss.m3_kd.temperature=0.02",
        flag(teacher=BEST_FIRST, kd_loss_type="m3_kd_loss"),
        "theirs goes by the order of the data, ours by the teacher's",
        BEST_FIRST,
    ),
    cross_device,
    lambda: row(
        "kl_div beside in-batch InfoNCE",
        f"loss=[kl,infonce] {IN_BATCH} loss.kl.temperature=0.02",
        flag(teacher=TEACHER),
        NO_ENTROPY,
        TEACHER,
        ENTROPY,
    ),
    lambda: row(
        "kl_div beside InfoNCE over own negatives",
        f"loss=[kl,infonce] {OWN} loss.kl.temperature=0.02",
        flag(alone=True, teacher=TEACHER),
        NO_ENTROPY,
        TEACHER,
        ENTROPY,
    ),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
