"""GradCache in bf16 at growing batches of MiniLM, beside sentence-transformers' CachedMultipleNegativesRankingLoss."""

from __future__ import annotations

import statistics
from importlib.util import find_spec

import made_up
import torch
from part import begin, forget_peak, peak_memory, seconds

part = begin("grad_cache", __doc__)

import grad_cache  # noqa: E402

if part.device == "cpu":  # its backward pass in bf16 takes minutes on many processors
    part.note("float32, as on any CPU")

grad_cache.CHUNK = part.by_size(256, 8, 4)  # what hardneg's parts hold on a GPU, 16,384 tokens
ROUNDS = part.by_size(3, 1, 1)
ARMS = {"sentence-transformers": grad_cache.ARMS["st"], "hardneg": grad_cache.ARMS["hardneg"]}
if find_spec("sentence_transformers") is None:
    part.note("sentence-transformers is not installed: hardneg alone")
    del ARMS["sentence-transformers"]


def measure(batch: int) -> None:
    """Take each arm's steps in turns, the first of each not timed."""
    chosen = grad_cache.pairs(made_up.pairs(part.work, batch), batch)
    steps = {name: make(chosen, part.device) for name, make in ARMS.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    memory = dict.fromkeys(steps, 0.0)
    for number in range(ROUNDS + 1):
        for name in list(steps) if number % 2 else list(steps)[::-1]:
            held = forget_peak(part.device)
            with torch.autocast(part.device, torch.bfloat16, enabled=part.device == "cuda"):
                times[name].append(seconds(steps[name], part.device))
            memory[name] = max(memory[name], peak_memory(part.device) - held)
    first = next(iter(steps))
    for name, found in times.items():
        ratios = [theirs / own for theirs, own in zip(times[first][1:], found[1:], strict=True)]
        row = {"batch": batch, "arm": name, "seconds": statistics.median(found[1:])}
        part.add(**row, **{f"speed to {first}": statistics.median(ratios), "MiB": round(memory[name])})


for batch in part.by_size((1024, 4096, 16_384), (4, 8), (4,)):
    measure(batch)
