"""The two kinds of negative source: offline ones name document ids, online ones offer embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor, nn

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates, Columns
from hardneg.retrieval.model import Model


@dataclass(frozen=True)
class Draw:
    """The documents drawn for one query: always `k`, padded with -1; teacher scores where there are any."""

    ids: Int32[np.ndarray, " k"]
    teacher: Float32[np.ndarray, " k"] | None = None


@dataclass(frozen=True)
class Draws:
    """The documents drawn for each of several queries, as `Draw` has them for one."""

    ids: Int32[np.ndarray, "n k"]
    teacher: Float32[np.ndarray, "n k"] | None = None


# A method for a batch at once, and the one for a single query that it must agree with: a subclass that overrides the
# latter loses the former.
AT_ONCE = {"draw_batch": "draw", "positive_teachers": "positive_teacher"}


@dataclass(frozen=True)
class Setting:
    """What an offline source may use to prepare: the training set, the run's filters and the shared cache.

    `model` is the one in training, once there is one. `owner` is the run's name in the cache, where it may come back
    for its stores. `device` is where miners and teachers with weights of their own compute. `positives` is how many
    positives a row shows.
    """

    training: TrainingSet
    filters: dict[str, CandidateFilter]
    cache: Path
    model: Model | None = None
    owner: str | None = None
    device: str = "auto"
    positives: int = 1


class Source:
    """What may be asked of any source, offline or online, as soon as it is made."""

    has_teacher: bool = False  # its negatives bring a teacher's scores
    follows_model: bool = False  # what it draws from changes with the model in training
    avoids_positives: bool = False  # draws no known positive, whatever the filters
    of_batch: bool = False  # offers what is in the batch, and nothing else
    kept_documents: int = 0  # whose vectors it keeps from one step to the next, all of them of rows that were seen
    of_all_rows: bool = False  # offers every row's documents to all rows, so that a loss may have the other direction
    teaches_live: bool = False  # brings a teacher that scores every pair of a step
    logq: bool = False  # a softmax is corrected for how often its columns come

    @property
    def may_have_teacher(self) -> bool:
        """Whether there are teacher scores, or may be once the data are read."""
        return self.has_teacher


class OfflineSource(Source, ABC):
    """Names negatives before the batch exists; they are tokenised and encoded with gradient.

    Lives in the dataset: numpy only, and picklable, because data-loading workers copy it. The constructor is cheap and
    checks its arguments; `prepare` does the work. `draw` is all that a source must have; `draw_batch`, which does it
    for a batch at once, is for speed. `relabels`: may find positives beyond the labels. `version` changes when draws
    change: what workers have prefetched is then void.
    """

    relabels: bool = False
    version: int = 0
    draws_nearest: bool = False  # draws the first of a list alone
    origin: str = "other"  # listed, following, given or random: by it alarms advise (`mining.alarm_rules`)

    def __init__(self, k: int) -> None:
        self.resize(k)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for at_once, one in AT_ONCE.items():
            if one in vars(cls) and at_once not in vars(cls):
                setattr(cls, at_once, getattr(OfflineSource, at_once))

    def resize(self, k: int) -> None:
        """Draw `k` per query from now on; raises `ConfigError` where it cannot."""
        if k < 1:
            raise ConfigError(f"a source needs k >= 1 negatives a query, got k={k}; to do without it leave it out")
        self.k = k

    def prepare(self, setting: Setting) -> None:
        """Build or open whatever `draw` reads; called once, before the first draw."""

    @abstractmethod
    def draw(self, query: int, rng: np.random.Generator) -> Draw:
        """Draw `k` documents for a query; the same (query, rng state) gives the same draw."""

    def draw_batch(
        self,
        queries: Int[np.ndarray, " n"],
        rngs: Iterator[np.random.Generator],
        window: tuple[int, int] | None = None,
    ) -> Draws:
        """Draw for each query what `draw` does with its generator; each is good until the next one is asked for.

        `window` is for sources with a list for each query: the [first, end) places to draw from, as a curriculum says.
        """
        more = {} if window is None else {"window": window}
        ids, teacher = np.full((len(queries), self.k), -1, np.int32), None
        for row, (query, rng) in enumerate(zip(queries.tolist(), rngs, strict=True)):
            drawn = self.draw(query, rng, **more)
            ids[row] = drawn.ids[: self.k]
            if drawn.teacher is not None:
                teacher = np.full(ids.shape, np.nan, np.float32) if teacher is None else teacher
                teacher[row] = drawn.teacher[: self.k]
        return Draws(ids, teacher)

    def positive_teacher(self, query: int, which: int) -> float:
        """The teacher's score of the query's `which`-th labelled positive; NaN where there is none."""
        return np.nan

    def positive_teachers(
        self, queries: Int[np.ndarray, " n"], which: Int[np.ndarray, "n P"]
    ) -> Float32[np.ndarray, "n P"]:
        """Return `positive_teacher` of each query's labelled positives; -1 stands for none."""
        scores = np.full(which.shape, np.nan, np.float32)
        for row, column in np.argwhere(which >= 0).tolist():
            scores[row, column] = self.positive_teacher(int(queries[row]), int(which[row, column]))
        return scores

    def relabelled(self, query: int) -> Draw:
        """Name the documents that a teacher has found to be positives of the query: no source may draw them."""
        return Draw(np.empty(0, np.int32), np.empty(0, np.float32))

    def report(self) -> dict[str, float]:
        """Describe the source in numbers to log once (share kept, queries left short, ...)."""
        return {}


class OnlineSource(Source, nn.Module, ABC):
    """Offers documents that are already embedded; a module, so that its buffers follow device and checkpoint.

    It offers other rows' positives, so a popular document comes often. With `logq` its columns say how often, and a
    softmax is corrected for that (see `Candidates.logits`).
    """

    popularity: Float[Tensor, " C"] | None

    def __init__(self, logq: bool = False) -> None:
        super().__init__()
        self.logq = logq
        self.register_buffer("popularity", None, persistent=False)  # it depends on the labels, not on the run

    def prepare(self, setting: Setting) -> None:
        """Count, where it is asked for, what share of the training rows has each document as its positive."""
        if self.logq:
            self.popularity = torch.from_numpy(setting.training.popularity(setting.positives))

    def share(self, ids: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """What share of the training rows has each of these documents as its positive; NaN for none."""
        assert self.popularity is not None, "prepare() comes first"
        share = self.popularity[ids.clamp(min=0)]
        return share.masked_fill((ids < 0) | (share == 0), torch.nan)

    @abstractmethod
    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer columns to every row of this rank."""

    def teacher_scores(self, c: Candidates) -> Float[Tensor, "B N"]:
        """Its teacher's scores of every row and candidate of a step, NaN where unknown; only if `teaches_live`."""
        raise NotImplementedError

    def update(self, d: Float[Tensor, "B G D"], batch: Batch) -> None:
        """Take in this step's documents, after the loss."""


def shuffled(counts: Int[np.ndarray, " n"], k: int, rngs: Iterator[np.random.Generator]) -> Int[np.ndarray, "n k"]:
    """Return the first `k` places of a random order of each row's `counts`, padded with -1."""
    places = np.full((len(counts), k), -1)
    for row, (count, rng) in enumerate(zip(counts.tolist(), rngs, strict=True)):
        places[row, : min(count, k)] = rng.permutation(count)[:k]
    return places


def first_marked(values: Int32[np.ndarray, "n m"], marked: Bool[np.ndarray, "n m"], k: int) -> Int32[np.ndarray, "n k"]:
    """Return the first `k` marked values of each row, padded with -1."""
    place = np.cumsum(marked, axis=1) - 1
    rows, columns = np.nonzero(marked & (place < k))
    out = np.full((len(values), k), -1, np.int32)
    out[rows, place[rows, columns]] = values[rows, columns]
    return out


def pad(ids: Sequence[int] | np.ndarray, k: int) -> Int32[np.ndarray, " k"]:
    """Pad with -1 to `k` ids: a short list stays short, and is never topped up silently."""
    full = np.full(k, -1, np.int32)
    full[: len(ids)] = ids
    return full
