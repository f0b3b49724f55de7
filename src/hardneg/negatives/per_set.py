"""How many negatives a query gets where data sets of a mix differ in that (`data.k`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from hardneg.data.parts import Part
from hardneg.negatives.base import OfflineSource


class PerSet:
    """Knows each set's `k` for each source.

    Where a set wants fewer than another, slots stay empty, so that batches of all sets have one shape.
    """

    def __init__(self, parts: Sequence[Part], sources: Mapping[str, OfflineSource]) -> None:
        self.ends = np.array([part.queries.stop for part in parts])
        chosen = {name for part in parts for name in part.k} & set(sources)
        self.k = {name: np.array([part.k.get(name, sources[name].k) for part in parts]) for name in chosen}

    def resize(self, sources: Mapping[str, OfflineSource]) -> None:
        """Let each source draw as many as any set wants of it; called before they are prepared."""
        for name, of_parts in self.k.items():
            if (most := int(of_parts.max())) > 0:
                sources[name].resize(most)

    def counts(self, name: str, queries: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"] | None:
        """Return how many negatives of this source each query gets; None where all get the same."""
        return self.k[name][np.searchsorted(self.ends, queries, side="right")] if name in self.k else None
