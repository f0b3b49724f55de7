"""Compiled networks (`torch.compile`) that meet few shapes, as each new shape is compiled anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.matrix.batch import Tokens

FEW = 4  # shares of a full part that the last part is padded to
SHAPES = 128  # shapes that are compiled at most; others run uncompiled; torch would stop at 8
LIMITS = ("recompile_limit", "cache_size_limit")  # what torch calls it, and torch 2.6 did


def bucket(lengths: Int[Tensor, " R"], longest: int | None = None) -> Int[Tensor, " R"]:
    """Round lengths up, not beyond `longest`: to 8 and 16, then to the next of 2, 3, 4, 6, 8, 12, 16, ... times 8."""
    power = 2 ** torch.ceil(torch.log2(lengths.clamp(min=8).double())).long()
    three_quarters = power * 3 // 4
    wide = torch.where((lengths <= three_quarters) & (power > 16), three_quarters, power)
    return wide if longest is None else torch.maximum(wide.clamp(max=longest), lengths)


def filled_up(tokens: Tokens, rows: Tensor, full: int, width: int) -> tuple[Tensor, ...]:
    """Return the inputs of these rows, padded to `width` tokens and to a number of rows that is common.

    The rows are padded by repeating the last one: a text without any token would leave attention nothing to attend to.
    """
    step = -(-full // FEW)
    count = -(-len(rows) // step) * step
    part = tokens.part(torch.cat([rows, rows[-1:].expand(count - len(rows))]))
    more = width - part.input_ids.shape[1]
    return F.pad(part.input_ids, (0, more)), F.pad(part.attention_mask, (0, more))


class Compiler:
    """Compiles a network when it is first asked for it; a copy, or what is sent to another process, begins anew.

    No text has more than `longest` tokens: a model need not have positions for more. `backend` is one
    of torch.compile's.
    """

    def __init__(self, longest: int | None = None, backend: str | Callable[..., Any] = "inductor") -> None:
        self.longest, self.backend, self._made = longest, backend, dict[int, Any]()

    def __call__(self, network: nn.Module) -> Any:
        """Return the network's compiled form, which has the same weights."""
        if id(network) not in self._made:
            limit = next(name for name in LIMITS if hasattr(torch._dynamo.config, name))
            setattr(torch._dynamo.config, limit, max(getattr(torch._dynamo.config, limit), SHAPES))
            self._made[id(network)] = torch.compile(network, dynamic=False, backend=self.backend)
        return self._made[id(network)]

    def __reduce__(self) -> tuple[type[Compiler], tuple[Any, ...]]:
        return Compiler, (self.longest, self.backend)
