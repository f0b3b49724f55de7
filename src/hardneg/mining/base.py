"""What every miner has: a ranked list of documents for each query, with the scores of the query's positives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.distinct import distinct
from hardneg.data.readers.lines import Strict, lines_of_any_end
from hardneg.data.tables import RetrievalData
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.retrieval.left_out import left_out
from hardneg.retrieval.model import Model
from hardneg.teachers.encoder_choice import EncoderChoice


@dataclass(frozen=True)
class Hits:
    """The K best documents of each query, best first; -1 (score -inf) where there are no more.

    `positives` are the miner's own scores of the query's known positives, in the order asked; NaN where unknown. They
    are on the scale of the hits, so that rules can compare both.
    """

    ids: Int32[np.ndarray, "Q K"]
    scores: Float32[np.ndarray, "Q K"]
    positives: Float32[np.ndarray, "Q P"]

    def without(self, docs: Int32[np.ndarray, " Q"]) -> Hits:
        """Leave out one document of each query (-1: none); those below it move up."""
        out = (self.ids == docs[:, None]) & (docs[:, None] >= 0)
        return Hits(*left_out(out, self.ids, self.scores), self.positives)


# Ranks the pool for some query rows (Q,): (queries, their known positives (Q, P) padded with -1, K) -> hits.
Ranker = Callable[[Int32[np.ndarray, " Q"], Int32[np.ndarray, "Q P"], int], Hits]


@dataclass(frozen=True)
class Task:
    """What a miner ranks: the documents of `pool` (rows of the corpus) for queries of `data`.

    `positives` are the documents whose scores will be asked for. `work` is a folder that outlives an interruption: what
    a miner leaves there under names of its own is found when the same task is opened again. All ranks see it, and each
    computes a share.

    `queries` are those that will be asked for and `depth` the most documents of each, where both are known before: a
    miner needs them when it is opened to spread its index over the ranks, and has a whole one otherwise.
    """

    data: RetrievalData
    pool: Int32[np.ndarray, " N"]
    positives: Int32[np.ndarray, " M"]
    work: Path
    queries: Int32[np.ndarray, " Q"] | None = None
    depth: int = 0

    @property
    def outside(self) -> Int32[np.ndarray, " R"]:
        """The positives outside the pool: no candidates, but what is too close to them is judged all the same."""
        inside = np.zeros(len(self.data.corpus), bool)
        inside[self.pool] = True
        return self.positives[~inside[self.positives]]


def ranker_of(miner: Miner, task: Task) -> Ranker:
    """Open the miner for a task; a query that is itself a document is left out of its own list."""
    own = task.data.own
    if own is None:
        return miner.open(task)
    rank = miner.open(replace(task, depth=task.depth + 1))

    def others(queries: np.ndarray, positives: np.ndarray, k: int) -> Hits:
        found = rank(queries, positives, min(k + 1, len(task.pool))).without(own[queries])
        more = k - found.ids.shape[1]  # as many columns as a miner returns, which fills up to what it is asked for
        ids = np.pad(found.ids, ((0, 0), (0, max(more, 0))), constant_values=-1)[:, :k]
        scores = np.pad(found.scores, ((0, 0), (0, max(more, 0))), constant_values=-np.inf)[:, :k]
        return Hits(ids, scores, found.positives)

    return others


class Miner(ABC):
    """Ranks the corpus for queries.

    `follows_model`: ranks with the model in training, so that its lists change with the model. `collective`: ranks
    share the work, so that all of them must take part. `needs_average`: ranks with a moving average of the model.
    """

    follows_model: bool = False
    collective: bool = False
    needs_average: bool = False

    @property
    def encoders(self) -> Sequence[EncoderChoice]:
        """The encoders of its own that it ranks with, which are not the model in training."""
        return ()

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides the ranking but the texts, as plain values: part of the store's fingerprint."""

    @abstractmethod
    def open(self, task: Task) -> Ranker:
        """Prepare (index, embed) and return what ranks blocks of queries."""

    def ready(self, data: RetrievalData, model: Model | None, cache: Path, device: str = "auto") -> Miner:
        """Return the miner with the weights that it ranks with; those of `model` if it follows the model.

        `device` is where weights of its own go.
        """
        return self

    def check(self, documents: int, model: Model | None) -> None:  # noqa: B027  (most have nothing to refuse)
        """Raise what would end a ranking of this many documents, before any is begun."""

    def put_away(self) -> None:  # noqa: B027  (most have no weights of their own)
        """Leave the device to training until `ready` is called again; weights of its own stay in main memory."""


def tasks(
    training: TrainingSet, queries: Int32[np.ndarray, " Q"], pool: Int32[np.ndarray, " N"], work: Path
) -> list[tuple[Int32[np.ndarray, " q"], Task]]:
    """Split a mining pass by data set: queries, each with the task of ranking the pool's documents of their own set.

    Raises `DataError` where the pool holds nothing of a set.
    """
    data, positives = training.data, distinct(training.known.values)
    found = []
    for part, here in data.by_part(queries):
        inside, relevant = (rows[(rows >= part.docs.start) & (rows < part.docs.stop)] for rows in (pool, positives))
        if not len(inside):
            raise DataError(f"none of the documents that may be mined is of {part.name}; change what `documents` names")
        found.append((queries[here], Task(data, inside, relevant, work / part.name if data.bounds else work)))
    return found


def mining_pool(training: TrainingSet, documents: str) -> Int32[np.ndarray, " N"]:
    """Return the rows of the documents that may be mined: `all`, `not_held_out`, or those whose ids a file lists.

    `not_held_out` leaves out documents that are relevant to queries of other splits and to none of this one.

    Raises `DataError` for an id that is not in the corpus and for a file without ids, `ConfigError` where there is no
    such file.
    """
    everything = np.arange(len(training.data.corpus), dtype=np.int32)
    if documents == "all":
        return everything
    if documents == "not_held_out":
        ours = np.ones(len(everything), bool)
        for name, qrels in training.data.qrels.items():
            if name != training.split:
                ours[qrels.relevant.docs] = False
        ours[training.known.values] = True
        return everything[ours]
    path = Path(documents)
    if not path.is_file():
        raise ConfigError(f"documents={documents!r} must be all, not_held_out or a file with one document id a line")
    if not path.read_bytes().strip():
        raise DataError(f"{path}: names no document, so there is nothing to mine; write one id a line")
    named = list(lines_of_any_end(path, Strict()))
    rows = training.data.corpus.find([name for _, name in named])
    if (other := np.flatnonzero(rows < 0)).size:  # ids may have blanks around them, and lines too
        rows[other] = training.data.corpus.find([named[place][1].strip() for place in other.tolist()])
    if (rows < 0).any():
        number, name = named[int(np.flatnonzero(rows < 0)[0])]
        raise DataError(f"{path}:{number}: there is no document {name!r} in {training.data.name}")
    return np.unique(rows)
