"""Encoding in parts: rows of like length together, so that little padding is computed, and little memory is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hardneg.encoders.fixed_shapes import Compiler, bucket, filled_up
from hardneg.errors import ConfigError
from hardneg.matrix.batch import Tokens
from hardneg.system import allocator

AUTO = "auto"
ON_CPU = 1024  # fits the caches: 1.7 to 1.9 times as fast as one part at batch 64 (experiments/bench)
ELSEWHERE = 16_384  # a GPU wants large parts


def check_tokens(tokens: int | str | None) -> None:
    """Raise `ConfigError` for what `budget` cannot take."""
    if tokens not in (AUTO, None) and (isinstance(tokens, str) or tokens < 1):
        raise ConfigError(f"encoder.tokens must be a positive number, auto or null, got {tokens!r}")


@overload
def budget(tokens: str, device: torch.device) -> int: ...
@overload
def budget(tokens: int | str | None, device: torch.device) -> int | None: ...
def budget(tokens: int | str | None, device: torch.device) -> int | None:
    """Turn `encoder.tokens` into the largest number of padded tokens in a part; None for one part."""
    if isinstance(tokens, str):
        return ON_CPU if device.type == "cpu" else ELSEWHERE
    return tokens


def parts(lengths: Tensor, tokens: int | None) -> Iterator[Tensor]:
    """Cut rows, longest first, into parts of at most `tokens` padded tokens (at least one row); null for one part."""
    order = torch.argsort(lengths, descending=True, stable=True)
    if tokens is None:
        yield order
        return
    sizes = lengths[order].tolist()
    start = 0
    while start < len(sizes):
        rows = max(1, tokens // max(sizes[start], 1))
        yield order[start : start + rows]
        start += rows


def encode(
    network: nn.Module,
    tokens: Tokens,
    size: int | None,
    grad_cache: bool = False,
    compiler: Compiler | None = None,
) -> Float[Tensor, "R D"] | Float[Tensor, " R"]:
    """Embed or score every row, in the order given; the parts only affect how much padding is computed on the way.

    With `grad_cache` a part's activations are not kept but computed again when its gradient is due, with the same
    dropout: the memory is that of one part, however large the batch, and the gradient that of the whole batch. It is
    what GradCache does (Gao et al., arXiv:2101.06983); the cached gradients and the second forward are left to
    autograd. With a `compiler` the parts that have a gradient come in few shapes, and the network runs compiled for
    each.
    """
    if compiler is not None and torch.is_grad_enabled():
        return _compiled(compiler(network), tokens, size, compiler.longest)
    run = _again(network) if grad_cache and torch.is_grad_enabled() else network
    cuts = list(parts(tokens.lengths, size))
    lengths = getattr(network, "takes_lengths", False)  # they are on the CPU, so this does not wait for the device
    found = torch.cat([run(*tokens.part(rows).arguments(lengths)) for rows in cuts])
    back = torch.argsort(torch.cat(cuts)).to(found.device, non_blocking=True)
    return found[back]


def _compiled(network: Callable[..., Tensor], tokens: Tokens, size: int | None, longest: int | None) -> Tensor:
    if getattr(tokens, "prompt", None) is not None:
        raise ConfigError("encoder.include_prompt=false is not compiled: set trainer.compile=false, or pool the prompt")
    widths = bucket(tokens.lengths, longest)
    cuts = list(parts(widths, size))
    found = []
    for rows in cuts:
        width = int(widths[rows[0]])
        full = len(tokens) if size is None else max(1, size // width)
        found.append(network(*filled_up(tokens, rows, full, width))[: len(rows)])
    together = torch.cat(found)
    return together[torch.argsort(torch.cat(cuts)).to(together.device, non_blocking=True)]


def _again(network: nn.Module) -> Callable[..., Tensor]:
    """Wrap a network so that it keeps no activations and runs a second time in the backward pass."""
    on_cpu = next(network.parameters()).device.type == "cpu"

    def run(*inputs: Tensor | None) -> Tensor:
        if on_cpu:  # first, since the second run ends with its last activation
            allocator.give_back()
        return network(*inputs)

    # Tensors as arguments, not in a container: by them the checkpoint finds the device whose dropout it must replay.
    return partial(checkpoint, run, use_reentrant=False)
