"""A queue of 131,072 documents under one device: a training step of MiniLM with it and without."""

from __future__ import annotations

from functools import partial

import made_up
import numpy as np
import torch
from in_turns import measure
from part import begin, peak_flops

part = begin("queue", __doc__)

from train_speed_arms import BF16, Job, Workload, ours, quiet  # noqa: E402

quiet()
SETTINGS = [f"trainer.precision={BF16}"]
QUEUE = part.by_size(131_072, 8192, 64)
ARMS = {
    "in_batch": partial(ours, settings=[*SETTINGS, "negatives=[in_batch]"]),
    f"queue of {QUEUE}": partial(
        ours, settings=[*SETTINGS, "negatives=[in_batch,queue]", f"negatives.queue.size={QUEUE}"]
    ),
}
best = peak_flops(part.device, torch.bfloat16)
batch, warmup, turns, steps = part.by_size((512, 10, 5, 10), (16, 1, 2, 1), (4, 1, 1, 1))
data = str(made_up.pairs(part.work, batch * (warmup + turns * steps + 1)))
work = Workload(data, "minilm" if part.size == "full" else made_up.bert(part.work, small=True))
lengths = np.concatenate([work.queries.lengths, work.docs.lengths])
flops = made_up.step_flops(work.model, lengths) * batch / len(work.queries)
measure(part, work, Job(batch, warmup, turns, steps, part.device), ARMS, "in_batch", flops, best)
