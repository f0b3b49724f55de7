"""Several miners as one: reciprocal rank fusion of their lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32

from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError
from hardneg.mining.base import Hits, Miner, Ranker, Task, ranker_of
from hardneg.retrieval.model import Model
from hardneg.system.own_code import identity_of
from hardneg.teachers.encoder_choice import EncoderChoice


class Fused(Miner):
    """Sum 1 / (`constant` + rank) over the miners' lists (Cormack et al., SIGIR 2009), ranks from 1.

    Lexical and dense lists overlap little (ANCE counts 15%), so their union holds hard negatives of both kinds. Scores
    are these sums, for hits and positives alike; a list adds nothing to a document that it does not reach.

    Raises `ConfigError` for fewer than two miners, and a `constant` below 1.
    """

    def __init__(self, miners: Sequence[Miner], constant: int = 60) -> None:
        if len(miners) < 2:
            raise ConfigError(f"a fused miner needs at least two miners, got {len(miners)}")
        if constant < 1:
            raise ConfigError(f"the constant of reciprocal rank fusion must be at least 1, got {constant}")
        self.miners, self.constant = list(miners), constant
        self.follows_model = any(miner.follows_model for miner in miners)
        self.collective = any(miner.collective for miner in miners)
        self.needs_average = any(miner.needs_average for miner in miners)

    @property
    def encoders(self) -> Sequence[EncoderChoice]:
        """Those of the miners."""
        return [one for miner in self.miners for one in miner.encoders]

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> Fused:
        """Make each of the miners ready."""
        return Fused([miner.ready(data, model, cache, device) for miner in self.miners], self.constant)

    def check(self, documents: int, model: Model | None) -> None:
        """Raise what one of the miners does."""
        for miner in self.miners:
            miner.check(documents, model)

    def put_away(self) -> None:
        """Put away each of the miners."""
        for miner in self.miners:
            miner.put_away()

    def identity(self) -> dict[str, Any]:
        """Those of the miners, and the constant."""
        return {"miner": "fused", "constant": self.constant, "of": [identity_of(miner) for miner in self.miners]}

    def open(self, task: Task) -> Ranker:
        """Open each of the miners."""
        rankers = []
        for number, miner in enumerate(self.miners):
            work = task.work / f"miner-{number}"  # two of them may write files of the same name
            work.mkdir(parents=True, exist_ok=True)
            rankers.append(ranker_of(miner, replace(task, work=work)))

        def rank(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
            found = [ranker(queries, positives, k) for ranker in rankers]
            ids, scores = self._merge([hits.ids for hits in found], k)
            gains = [self._gain(hits, positives, k) for hits in found]
            unknown = np.all([np.isnan(hits.positives) for hits in found], axis=0)
            return Hits(ids, scores, np.where(unknown, np.nan, np.sum(gains, axis=0)).astype(np.float32))

        return rank

    def _merge(
        self, lists: list[Int32[np.ndarray, "Q K"]], k: int
    ) -> tuple[Int32[np.ndarray, "Q K"], Float32[np.ndarray, "Q K"]]:
        """Add up what each document gets, and take the `k` best; ties in the order of the corpus."""
        gain = 1.0 / (self.constant + 1 + np.arange(k))
        ids = np.full((len(lists[0]), k), -1, np.int32)
        scores = np.full(ids.shape, -np.inf, np.float32)
        for row in range(len(ids)):
            docs = np.concatenate([found[row] for found in lists])
            gains = np.concatenate([gain] * len(lists))[docs >= 0]
            docs, place = np.unique(docs[docs >= 0], return_inverse=True)
            total = np.bincount(place, weights=gains, minlength=len(docs))
            best = np.argsort(-total, kind="stable")[:k]
            ids[row, : len(best)], scores[row, : len(best)] = docs[best], total[best]
        return ids, scores

    def _gain(self, hits: Hits, positives: Int32[np.ndarray, "Q P"], k: int) -> Float64[np.ndarray, "Q P"]:
        """What each positive gets from one list: by its place there, and nothing below the list.

        That of one that could not be listed, because it is not in the pool, is told by the hits that outscore it. By
        scores alone one that is listed could miss its place: a miner may round the score of a hit otherwise.
        """
        place = np.full(positives.shape, k)
        lowest = np.where(hits.ids >= 0, hits.scores, np.inf).min(axis=1, initial=np.inf)
        for column, docs in enumerate(positives.T):  # one pass per positive, to avoid a (Q, P, K) array
            score = hits.positives[:, column]
            outscored = (hits.scores > score[:, None]).sum(axis=1)
            unlisted = np.where(score >= lowest, outscored, k)  # not where the score is NaN
            listed = (hits.ids == docs[:, None]) & (docs[:, None] >= 0)
            place[:, column] = np.where(listed.any(axis=1), listed.argmax(axis=1), unlisted)
        return np.where(place < k, 1.0 / (self.constant + 1 + place), 0.0)
