"""The training step of a cross-encoder: score the pairs, compute the loss, log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hardneg.data.dataset import Drawn, as_tensors
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.cross_encoder import CrossEncoder, PairRecipe
from hardneg.encoders.encode import budget, encode
from hardneg.encoders.pair_tokens import PairTokenizer, PairTokens
from hardneg.matrix.batch import Rows
from hardneg.matrix.candidates import Candidates
from hardneg.training.base import Objective, TrainingModule

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PairBatch(Rows):
    """What a cross-encoder reads: the B*G pairs row by row."""

    pairs: PairTokens


class PairCollate:
    """Make a `PairBatch` of drawn rows; a slot without a document gets an empty text, which nothing counts."""

    def __init__(self, tokens: PairTokenizer, training: TrainingSet, has_teacher: bool) -> None:
        self.tokens, self.data, self.excluded = tokens, training.data, training.excluded
        self.has_teacher = has_teacher

    def __call__(self, drawn: Drawn) -> PairBatch:
        """Tokenise the pairs."""
        docs = drawn.docs
        found = self.data.corpus.take(docs.clip(0).ravel())
        texts = [text if row >= 0 else "" for row, text in zip(docs.ravel(), found, strict=True)]
        queries = self.data.queries.take(np.repeat(drawn.queries, docs.shape[1]))
        return PairBatch(pairs=self.tokens(queries, texts), **as_tensors(drawn, self.excluded, self.has_teacher))


class PairModule(TrainingModule):
    """Trains a cross-encoder to score a query's positives above its drawn negatives (RocketQA, arXiv:2010.08191)."""

    def __init__(self, network: CrossEncoder, recipe: PairRecipe, objective: Objective) -> None:
        super().__init__(objective)
        self.network, self.recipe = network, recipe

    @property
    def ranker(self) -> CrossEncoder:
        """What evaluation reranks with."""
        return self.network

    def leave(self, folder: Path) -> None:
        """Write the cross-encoder as `teacher/`, which teacher=cross_encoder reads."""
        self.network.save(folder / "teacher")
        log.info("teacher=cross_encoder teacher.model=%s", folder / "teacher")

    def training_step(self, batch: PairBatch, _: int) -> Tensor:
        """One step, top to bottom; losses are float32 whatever the encoder computes in."""
        size = budget(self.recipe.tokens, self.device)
        scores = encode(self.network, batch.pairs, size, self.recipe.grad_cache)
        with torch.autocast(self.device.type, enabled=False):
            offered = Candidates.scored(scores.unflatten(0, batch.doc_ids.shape), batch, self.names)
            return self.compute_loss(offered, self.filtered(offered, batch))
