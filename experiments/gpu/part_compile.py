"""torch.compile on and off: a training step in bf16, the network of the towers compiled for any length."""

from __future__ import annotations

from functools import partial

import made_up
import numpy as np
import torch
from in_turns import measure
from part import begin, peak_flops

part = begin("compile", __doc__)

from train_speed_arms import BF16, Job, Workload, ours, quiet  # noqa: E402

quiet()
# Generating code for a CPU takes minutes and says nothing of a GPU: there only tracing is tried.
compiler = "inductor" if part.device == "cuda" else "eager"
part.note(f"torch.compile(dynamic=True, backend={compiler!r}) of each tower's network, not by a key of the config")
SETTINGS = [f"trainer.precision={BF16}"]
ARMS = {"as it is": partial(ours, settings=SETTINGS), "compiled": partial(ours, settings=SETTINGS, compiler=compiler)}
best = peak_flops(part.device, torch.bfloat16)
batch, warmup, turns, steps = part.by_size((256, 10, 6, 10), (8, 2, 2, 1), (4, 1, 1, 1))
data = str(made_up.pairs(part.work, batch * (warmup + turns * steps + 1)))
work = Workload(data, "minilm" if part.size == "full" else made_up.bert(part.work, small=True))
lengths = np.concatenate([work.queries.lengths, work.docs.lengths])
flops = made_up.step_flops(work.model, lengths) * batch / len(work.queries)
measure(part, work, Job(batch, warmup, turns, steps, part.device), ARMS, "as it is", flops, best)
