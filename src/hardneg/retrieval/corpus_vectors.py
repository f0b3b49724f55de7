"""The vectors of a whole corpus by one state of the weights: computed once for all that ask for them."""

from __future__ import annotations

import shutil
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, embed_blocks
from hardneg.retrieval.model import Model
from hardneg.system import agreement, distributed


class CorpusVectors:
    """Blocks on disk, in a folder of this run, named by all that determines them: weights, tokens, rows, precision.

    A dev evaluation and the mining round after it, and several sources that mine in one round: all use what the first
    of them has computed. So does a run that was killed and resumed, and the final test by the last weights.
    They belong to one state of the weights at a time: another state's replace them, unless somebody still reads them,
    as a fused miner of the current weights and their average reads both. Every rank asks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: WeakValueDictionary[str, EmbeddingBlocks] = WeakValueDictionary()

    def of(self, model: Model) -> EmbeddingBlocks:
        """Return the vectors of all documents, embedding those that are missing."""
        rows = np.arange(len(model.docs), dtype=np.int32)
        here = self.folder / model.vectors_name(rows)
        agreement.first(lambda: self._make_way(here))
        self._read[here.name] = blocks = embed_blocks(model, rows, here, "documents")
        return blocks

    def _make_way(self, here: Path) -> None:
        for other in self.folder.iterdir() if self.folder.is_dir() else ():
            if other != here and other.name not in self._read:
                shutil.rmtree(other, ignore_errors=True)
        here.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove them; the run has ended."""
        if distributed.rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
