"""Whether ids are among others, without making a GPU's host wait, as torch.isin does for all but small sets."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def among(ids: Int[Tensor, "*any"], ordered: Int[Tensor, " n"]) -> Bool[Tensor, "*any"]:
    """Return True where an id is one of `ordered`, which ascend and may repeat."""
    if not len(ordered):
        return torch.zeros_like(ids, dtype=torch.bool)
    # The last place is as good as any for what is larger than all.
    places = torch.searchsorted(ordered, ids.contiguous()).clamp(max=len(ordered) - 1)
    return ordered[places] == ids
