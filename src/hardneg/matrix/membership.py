"""Whether ids are among others, without making a GPU's host wait, which torch.isin causes for all but small sets."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def among(ids: Int[Tensor, "*any"], ordered: Int[Tensor, " n"]) -> Bool[Tensor, "*any"]:
    """Return True where an id is one of `ordered`, which ascend and may repeat."""
    if not len(ordered):
        return torch.zeros_like(ids, dtype=torch.bool)
    # For values larger than all any place will do: the last.
    places = torch.searchsorted(ordered, ids.contiguous()).clamp(max=len(ordered) - 1)
    return ordered[places] == ids
