"""Given negatives: those that the data themselves name for each query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from hardneg.data.pair_scores import PairScores
from hardneg.data.ragged import Ragged
from hardneg.errors import ConfigError
from hardneg.negatives.base import Draw, Draws, OfflineSource, Setting, first_marked, pad, shuffled
from hardneg.teachers.base import Teacher
from hardneg.teachers.given_scores import given_scores


class Given(OfflineSource):
    """Draw from the `negative` or `neg` lists of the data file (sentence-transformers triples, FlagEmbedding lines).

    Scores for distillation, or grades, are those that the data come with (`pos_scores`, `neg_scores`, a pair's score),
    or those of a `teacher`. Data of scored pairs without negatives give the positives' scores alone.
    """

    avoids_positives = True
    origin = "given"

    def __init__(self, k: int, teacher: Teacher | None = None) -> None:
        super().__init__(k)
        self.teacher, self.scored = teacher, None if teacher is None else PairScores.none()
        self.positives: Any = None

    @property
    def has_teacher(self) -> bool:  # type: ignore[override]
        """Whether there are scores: before the data are read this is known only where a teacher gives them."""
        return self.scored is not None

    @property
    def may_have_teacher(self) -> bool:
        """Whether the data may turn out to come with scores."""
        return True

    def prepare(self, setting: Setting) -> None:
        """Keep the lists, known positives left out; raises `ConfigError` where there are neither these nor scores."""
        training = setting.training
        data = training.data
        if data.given is None and data.scored is None:
            raise ConfigError(
                f"negatives.given needs data that names negatives, but {data.name!r} has none; use data=jsonl or"
                " data=table with triples, or another source"
            )
        none = np.empty(0, np.int64)
        self.lists = Ragged.of(none, none.astype(np.int32), len(data.queries)) if data.given is None else data.given
        self.excluded, self.positives = training.excluded, training.positives
        self.scored = data.scored
        if self.teacher is not None:
            self.teacher.prepare(data, setting.cache, setting.device)
            try:
                self.scored = given_scores(self.teacher, training, setting.cache)
            finally:  # training needs the device now
                self.teacher.put_away()

    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` of the query's given negatives in random order."""
        ids = self.lists[query]
        ids = pad(rng.permutation(ids[~np.isin(ids, self.excluded[query])])[: self.k], self.k)
        return Draw(ids, None if self.scored is None else self.scored.look_up(query, ids))

    def draw_batch(
        self,
        queries: Int[np.ndarray, " n"],
        rngs: Iterator[np.random.Generator],
        window: tuple[int, int] | None = None,
    ) -> Draws:
        """Draw for each query as `draw` does."""
        lists = self.lists.padded(queries)
        allowed = (lists >= 0) & ~self.excluded.holds(queries, lists)
        lists = first_marked(lists, allowed, lists.shape[1])
        places = shuffled(allowed.sum(axis=1), self.k, rngs)
        ids = np.where(places >= 0, np.take_along_axis(lists, places.clip(min=0), axis=1), np.int32(-1))
        return Draws(ids, None if self.scored is None else self.scored.look_up(queries[:, None], ids))

    def positive_teacher(self, query: int, which: int) -> float:
        """The score of the query's `which`-th labelled positive; NaN where there is none."""
        return np.nan if self.scored is None else float(self.scored.look_up(query, self.positives[query][[which]])[0])

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """Return the scores of the queries' labelled positives."""
        if self.scored is None:
            return np.full(which.shape, np.nan, np.float32)
        return self.scored.look_up(queries[:, None], self.positives.at(queries, which))

    def __getstate__(self) -> dict[str, Any]:
        """Workers only draw: the teacher stays in the main process."""
        return {**vars(self), "teacher": None}
