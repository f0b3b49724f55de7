"""Document vectors kept in memory, so that ranking again with the same weights embeds nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hardneg.encoders.towers import DOCUMENT, Towers
from hardneg.retrieval.corpus_pass import Documents
from hardneg.system.split_weights import bit_sums

HELD_BYTES = 512 * 1024**2  # of one state of the weights on one rank; at most two are held


@dataclass(frozen=True)
class _State:
    """What one state of the weights made of the documents, block by block, in main memory."""

    weights: list[int]
    blocks: list[tuple[np.ndarray, Tensor]]


class HeldVectors:
    """This rank's share of the documents' vectors by the latest weights, and by weights that were kept.

    A run tests the weights that were best on dev, so it keeps those: its test then finds what that evaluation embedded.
    Where the document tower is frozen, the corpus is embedded once.
    """

    def __init__(self) -> None:
        self._latest: _State | None = None
        self._kept: _State | None = None

    def or_embedded(self, towers: Towers, most: int, embedded: Callable[[], Documents]) -> Documents:
        """Yield the vectors that are held by these weights, else what `embedded` yields, which is held from then on.

        `most` is the largest share of any rank: all hold their vectors or none does, so that they embed together.
        """
        if most * towers.dim * 4 > HELD_BYTES:
            yield from embedded()
            return
        tower = towers.tower(DOCUMENT)
        # A hash would copy a large model to main memory at each evaluation, and may take longer than a small corpus.
        weights, device = bit_sums([*tower.parameters(), *tower.buffers()]), next(tower.parameters()).device
        for state in (self._latest, self._kept):
            if state is not None and state.weights == weights:
                self._latest = state
                for rows, vectors in state.blocks:
                    yield rows, vectors.to(device)
                return
        self._latest = None  # before the new ones need room
        blocks = []
        for rows, vectors in embedded():
            blocks.append((rows, vectors.cpu()))
            yield rows, vectors
        self._latest = _State(weights, blocks)

    def keep(self) -> None:
        """Keep those of the latest weights while others come, in place of what was kept before."""
        self._kept = self._latest
