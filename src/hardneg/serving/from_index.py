"""The vectors of an index in place of computed ones: mining with the live model then embeds nothing again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from hardneg.data.tables import RetrievalData
from hardneg.encoders.towers import DOCUMENT
from hardneg.errors import ConfigError
from hardneg.retrieval.model import Model, Reader, VectorSource
from hardneg.serving import canaries, embedding_space
from hardneg.serving.documents import digest
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.index_there import check_complete
from hardneg.serving.manifest import NAME
from hardneg.serving.reader_hold import Hold
from hardneg.serving.shards import Known, Shard
from hardneg.system import own_code
from hardneg.system.cache import fingerprint
from hardneg.system.counts_in_words import counted
from hardneg.system.screen import in_short

log = logging.getLogger(__name__)

COMPARED = 8  # documents whose vectors are made again, where the encoder's code is a user's


def opens(root: str | Path | None) -> Callable[[RetrievalData], IndexVectors] | None:
    """Return what opens the vectors of the index at `root` for a data set; None where `from_index` is null."""
    return None if root is None else partial(IndexVectors, root)


class IndexVectors(VectorSource):
    """What the builds of the index at `root` hold of the documents of `data`, by their texts.

    They are read only while the model is the one that made them, weights, prompt, length and precision included: after
    a training step none are. Raises `ConfigError` for several data sets in one, and for a folder without an index.
    """

    def __init__(self, root: str | Path, data: RetrievalData) -> None:
        self.folder, self.data = IndexFolder(root), data
        self._readers: dict[str, Reader | None] = {}
        self._holds: list[Hold] = []
        self._said = False
        if data.mixed:
            raise ConfigError("from_index: an index is of one data set, and this is a mix of several; leave it null")
        check_complete(root, "from_index=")

    @cached_property
    def _digests(self) -> np.ndarray:
        return digest(self.data.corpus.texts)

    def reader(self, model: Model) -> Reader | None:
        """What reads the vectors that builds of this model and precision hold."""
        made = embedding_space.both(model.recipe, model.tokenizer, model.towers, model.towers.dim)[DOCUMENT]
        space = fingerprint([made, model.precision])
        if space not in self._readers:  # a round asks for its documents and for positives outside of them
            self._readers = {space: self._open(space, model)}
        return self._readers[space]

    def _open(self, space: str, model: Model) -> Reader | None:
        dim = model.towers.dim
        shards: dict[str, Shard] = {}
        self._holds = []
        for build in reversed(self.folder.builds()):
            if build.manifest.space == space and build.intact:
                self._holds.append(Hold(build.folder / NAME))  # while we hold it, it is not removed
                shards |= {shard.name: shard for shard in build.shards}
        if not shards:
            self._say("is not of the model as it is now")
            return None
        known = Known(list(shards.values()))
        places = known.find(self._digests)
        if own_code.code_of(type(model.recipe)) is not None and not self._alike(model, known, places):
            self._say("has other vectors than the encoder's code makes now")
            return None
        holds = f"holds {(places >= 0).sum():,} of {counted(len(places), 'document')} as this model embeds them"
        log.info("index %s %s", self.folder.root, holds, extra=in_short(f"the index {holds}"))

        def read(rows: np.ndarray) -> tuple[Bool[np.ndarray, " N"], Float32[np.ndarray, "n D"]]:
            here = places[rows]
            return here >= 0, known.take(here[here >= 0], dim)

        return read

    def _alike(self, model: Model, known: Known, places: np.ndarray) -> bool:
        """Whether a few documents get the vectors that are held: own code may have changed under the same weights."""
        there = np.flatnonzero(places >= 0)
        if not len(there):
            return True
        rows = there[np.linspace(0, len(there) - 1, min(COMPARED, len(there))).astype(int)]
        held = known.take(places[rows], model.towers.dim)
        return bool((canaries.cosines(held, model.embed(DOCUMENT, rows).cpu().numpy()) >= canaries.CLOSE).all())

    def _say(self, why: str) -> None:
        if not self._said:
            say = f"{why}: documents are embedded"
            log.info("index %s %s", self.folder.root, say, extra=in_short(f"the index {say}"))
        self._said = True
