"""A training step in bf16, of MiniLM and of a BERT of base shape, beside a bare loop and sentence-transformers."""

from __future__ import annotations

from functools import partial

import made_up
import numpy as np
import torch
from in_turns import measure
from part import begin, peak_flops

part = begin("training", __doc__)

from train_speed_arms import BF16, Job, Workload, bare, ours, peer, quiet  # noqa: E402

ARMS = {
    "sentence-transformers": partial(peer, bf16=True),
    "bare loop": partial(bare, bf16=True),
    "hardneg": partial(ours, settings=[f"trainer.precision={BF16}"]),
    "hardneg, unpadded": partial(ours, settings=[f"trainer.precision={BF16}", "encoder.unpad=true"]),
}
# The kernel for texts of many lengths knows no dropout: with it attention alone is padded.
WITHOUT = [f"trainer.precision={BF16}", "encoder.unpad=true", "encoder.dropout=0.0"]
ARMS["hardneg, unpadded, no dropout"] = partial(ours, settings=WITHOUT)

quiet()
best = peak_flops(part.device, torch.bfloat16)
part.note(f"measured peak of a bf16 product: {best / 1e12:.2f} TFLOP/s")
batch, warmup, turns, steps = part.by_size((256, 10, 6, 10), (16, 1, 2, 1), (4, 1, 1, 1))
data = str(made_up.pairs(part.work, batch * (warmup + turns * steps + 1)))
models = {"minilm": batch, "bert": batch // part.by_size(2, 1, 1)} if part.size != "tiny" else {"bert": batch}
for model, size in models.items():
    work = Workload(data, "minilm" if model == "minilm" else made_up.bert(part.work, part.size != "full"))
    job = Job(size, warmup, turns, steps, part.device)
    lengths = np.concatenate([work.queries.lengths, work.docs.lengths])
    flops = made_up.step_flops(work.model, lengths) * size / len(work.queries)
    measure(part, work, job, ARMS, "sentence-transformers", flops, best)
