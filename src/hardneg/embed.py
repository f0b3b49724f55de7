"""Encoding in parts: rows of like length together, so that little padding is computed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.batch import Tokens
from hardneg.encoders.base import Tower


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


def encode(tower: Tower, tokens: Tokens, budget: int | None) -> Float[Tensor, "R D"]:
    """Embed every row, in the order given; the parts only decide how much padding is computed on the way."""
    cuts = list(parts(tokens.lengths, budget))
    pieces = [tokens.part(rows) for rows in cuts]
    embedded = torch.cat([tower(piece.input_ids, piece.attention_mask) for piece in pieces])
    back = torch.argsort(torch.cat(cuts)).to(embedded.device, non_blocking=True)
    return embedded[back]
