"""The vectors of a filter's guide, or of an in-batch teacher: made once, and looked up for batches on any device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.filters.guide import Guide
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.retrieval.model import Model
from hardneg.teachers.bi_encoder import BiEncoderTeacher
from hardneg.teachers.encoder_choice import EncoderChoice
from hardneg.teachers.stored_vectors import StoredVectors, stored_vectors

WHOLE = 2 * 2**30  # bytes: vectors of a table that take no more are copied to a GPU whole


def guide(
    filters: Mapping[str, CandidateFilter], training: TrainingSet, documents: str, cache: Path, device: str
) -> None:
    """Have every guide among the filters embed the training queries and documents, unless the cache has them.

    `documents` are `positives`, where nothing else can be a candidate, or `all`. Ranks share the work.
    """
    for rule in filters.values():
        if isinstance(rule, Guide):
            choice = EncoderChoice(rule.ckpt_path, rule.encoder, rule.precision, who="a guide")
            rule.read(LookedUp.of(choice.model(training.data, cache, device), training, documents, cache))


def taught_by(teacher: BiEncoderTeacher, training: TrainingSet, documents: str, cache: Path, device: str) -> LookedUp:
    """Have a teacher embed what it may be asked about in training, as `guide` does for filters."""
    source = teacher.source
    # One of its own, since the teacher's would keep its weights while its vectors alone are read.
    choice = EncoderChoice(source.ckpt_path, source.encoder, source.precision, who="teacher=bi_encoder")
    return LookedUp.of(choice.model(training.data, cache, device), training, documents, cache)


class LookedUp:
    """Vectors by row number, for tensors of rows on any device.

    A GPU gets a copy of a table of up to `WHOLE` bytes. Of a larger one the rows of each step are read from the disk,
    for which the device waits.
    """

    def __init__(self, stored: StoredVectors, identity: dict[str, Any]) -> None:
        self.stored, self._identity = stored, identity
        self._copies: dict[tuple[str, torch.device], tuple[Tensor, Tensor]] = {}

    @classmethod
    def of(cls, model: Model, training: TrainingSet, documents: str, cache: Path) -> LookedUp:
        """Embed with this model what the cache does not have."""
        return cls(stored_vectors(model, training, documents, cache), model.identity())

    def identity(self) -> dict[str, Any]:
        """All that decides the vectors, as plain values."""
        return self._identity

    def queries(self, rows: Int[Tensor, "*any"]) -> Float[Tensor, "*any T"]:
        """Those of training queries; NaN for other rows."""
        return self._take("queries", self.stored.queries, rows)

    def documents(self, rows: Int[Tensor, "*any"]) -> Float[Tensor, "*any T"]:
        """Those of the documents that were embedded; NaN for other rows."""
        assert self.stored.docs is not None
        return self._take("documents", self.stored.docs, rows)

    def _take(self, table: str, blocks: EmbeddingBlocks, rows: Int[Tensor, "*any"]) -> Float[Tensor, "*any T"]:
        if rows.device.type == "cpu" or len(blocks) * blocks.dim * 4 > WHOLE:
            found = torch.from_numpy(self.stored.read(blocks, rows.cpu().numpy().ravel()))
            return found.to(rows.device).reshape(*rows.shape, blocks.dim)
        if (key := (table, rows.device)) not in self._copies:
            self._copies[key] = _copied(blocks, rows.device)
        vectors, places = self._copies[key]
        place = places[rows.clamp(-1, len(places) - 1)]  # the last one stands for unknown rows, and for -1
        return vectors[place]


def _copied(blocks: EmbeddingBlocks, device: torch.device) -> tuple[Float[Tensor, "N1 T"], Int[Tensor, " R"]]:
    """Copy vectors to a device, followed by a row of NaN; also return the place of each row of the table among them."""
    vectors = torch.full((len(blocks) + 1, blocks.dim), torch.nan, device=device)
    start = 0
    for block in blocks:
        vectors[start : start + len(block)] = block.to(device)
        start += len(block)
    places = np.full(int(blocks.rows.max(initial=-1)) + 2, len(blocks))
    places[blocks.rows] = np.arange(len(blocks))
    return vectors, torch.from_numpy(places).to(device)
