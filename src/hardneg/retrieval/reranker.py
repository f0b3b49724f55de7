"""Ranking again what a first stage found, with a cross-encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hardneg.data.ragged import Ragged
from hardneg.data.tables import RetrievalData
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.encode import AUTO, budget, encode
from hardneg.retrieval.embed_tables import autocast
from hardneg.retrieval.metrics import QueryRankings
from hardneg.system import collectives
from hardneg.system.progress import progress

log = logging.getLogger(__name__)

BLOCK = 16  # queries per step of the progress bar

# Ranks the queries of a split: (split, depth) -> its best documents.
FirstStage = Callable[[str, int], QueryRankings]


@dataclass(frozen=True)
class Reranker:
    """Sorts the first documents of `first_stage` by the scores of a cross-encoder as it is at the time of asking.

    Everything that the first stage found is ranked again; `seen`, which that leaves out, is here for other baselines.
    """

    data: RetrievalData
    first_stage: FirstStage
    precision: str
    seen: Ragged | None = None

    def runs(self, network: CrossEncoder, splits: Sequence[str], depth: int) -> dict[str, QueryRankings]:
        """Return the first stage's `depth` best of each query of each split, in the new order."""
        return {split: self._run(network, split, depth) for split in splits}

    def nested(self, network: CrossEncoder, splits: Sequence[str], depth: int) -> dict[str, dict[str, QueryRankings]]:
        """The same by split and suffix: a cross-encoder has no widths, only the full one ("")."""
        return {split: {"": run} for split, run in self.runs(network, splits, depth).items()}

    def keep_vectors(self) -> None:
        """Keep nothing: a reranker has no vectors."""

    @torch.inference_mode()
    def _run(self, network: CrossEncoder, split: str, depth: int) -> QueryRankings:
        first = self.first_stage(split, depth)
        mine = collectives.shard(len(first.queries))
        queries, docs = first.queries[mine], first.ids[mine]
        training = network.training
        network.eval()
        scores = np.full(docs.shape, -np.inf, np.float32)
        with progress(len(queries), f"rerank {split}", "queries") as bar:
            for start in range(0, len(queries), BLOCK):
                block = slice(start, start + BLOCK)
                scores[block] = score_pairs(network, self.data, queries[block], docs[block], self.precision)
                bar.update(len(queries[block]))
        network.train(training)
        if said := network.tokens.cut.told("pairs so far", "encoder.max_length"):
            log.info("%s", said)
        scores[docs < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        found = [np.take_along_axis(part, order, axis=1) for part in (docs, scores)]
        ids, scores = (collectives.gather_rows(torch.from_numpy(part), len(first.queries)).numpy() for part in found)
        return QueryRankings(first.queries, ids.astype(np.int32), scores)


@torch.inference_mode()
def score_pairs(
    network: CrossEncoder, data: RetrievalData, queries: np.ndarray, docs: np.ndarray, precision: str
) -> np.ndarray:
    """Score each query row (Q,) against its document rows (Q, K), by length; NaN for -1."""
    rows, columns = np.nonzero(docs >= 0)
    scores = np.full(docs.shape, np.nan, np.float32)
    if len(rows):
        pairs = network.tokens(data.queries.take(queries[rows]), data.corpus.take(docs[rows, columns]))
        device = next(network.parameters()).device
        with autocast(precision, device):
            scores[rows, columns] = encode(network, pairs, 2 * budget(AUTO, device)).cpu().numpy()
    return scores
