"""What a miner ranked, before any filter: a layer of the cache by itself, so that other filters cost no search."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.mining.base import Hits, Miner, mining_pool, ranker_of, tasks
from hardneg.system import agreement, shared_blocks
from hardneg.system.cache import fingerprint, hold
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.memory_map import Mapped, write_arrays
from hardneg.system.own_code import identity_of
from hardneg.system.progress import progress
from hardneg.system.row_writer import RowWriter

log = logging.getLogger(__name__)

BLOCK = 1024  # queries per step: bounds memory, and what an interruption costs
EMPTY = {"ids": -1, "scores": -np.inf}  # in the rows of queries that were not ranked


class StoredRankings:
    """What a miner ranked for all training queries: a folder of memory-mapped arrays, immutable once there.

    `ids.npy`, `scores.npy` (Q, K): the miner's documents, best first, -1 where there are no more; Q counts all rows of
    the query table. `positives.npy`: the miner's scores of the `known` positives of each query, one after the other.
    """

    def __init__(self, folder: Path, known: Ragged) -> None:
        self.folder, self._known = folder, known
        self._ids, self._scores, self._positives = (
            Mapped(folder / f"{name}.npy") for name in ("ids", "scores", "positives")
        )

    @property
    def arrays(self) -> dict[str, Path]:
        """The files of documents and scores by name, which lists made from them share."""
        return {name: self.folder / f"{name}.npy" for name in EMPTY}

    def hits(self, queries: Int32[np.ndarray, " Q"]) -> Hits:
        """Return what was ranked for these queries, their known positives padded as `Ragged.padded` does."""
        positives = self._known_rows.padded(queries)
        of_positives = np.where(positives >= 0, self._positives.array[positives], np.nan).astype(np.float32)
        return Hits(np.array(self._ids.array[queries]), np.array(self._scores.array[queries]), of_positives)

    @cached_property
    def _known_rows(self) -> Ragged:
        """Where the scores of each query's positives are."""
        return Ragged(self._known.offsets, np.arange(len(self._known.values), dtype=np.int32))


@dataclass(frozen=True)
class Ranking:
    """All that decides rankings but the texts: a miner that is ready, how many documents, and which may be mined."""

    miner: Miner
    depth: int
    documents: str
    training: TrainingSet

    @cached_property
    def pool(self) -> Int32[np.ndarray, " N"]:
        """The documents that may be mined."""
        return mining_pool(self.training, self.documents)

    @cached_property
    def width(self) -> int:
        """How many documents are listed a query, at most."""
        return list_width(self.training, self.training.queries, self.depth)

    @cached_property
    def pool_name(self) -> str:
        """The pool's name in the cache."""
        return "all" if len(self.pool) == len(self.training.data.corpus) else fingerprint(self.pool.tolist())

    @cached_property
    def miner_identity(self) -> dict[str, Any]:
        """Name the miner; once, as its weights are hashed for it."""
        return identity_of(self.miner)

    def identity(self) -> dict[str, Any]:
        """Name everything: any change makes another ranking."""
        named = {"miner": self.miner_identity, "pool": self.pool_name, "training": self.training.fingerprint}
        return {**named, "width": self.width}

    def rankings(self, cache: Path) -> StoredRankings:
        """Where the rankings are, or will be."""
        return StoredRankings(cache / "rankings" / fingerprint(self.identity()), self.training.known)


def list_width(training: TrainingSet, queries: Int32[np.ndarray, " Q"], depth: int) -> int:
    """Return how many documents a miner is asked for, so that lists of `depth` stay full when they are filtered.

    A query's known positives are among the first and are filtered out: so the miner is asked for as many more. A few
    queries with hundreds of positives must not widen every list: beyond `depth` more, their lists may fall short.
    """
    return depth + min(int(training.known.counts[queries].max(initial=0)), depth)


def ranked(ranking: Ranking, cache: Path, owner: str | None = None) -> StoredRankings:
    """Return the rankings of the training queries, searching only if nobody has yet; an interrupted attempt goes on.

    Of several processes that ask together one ranks and the others wait; of the ranks of a run, where the miner says
    so, each ranks a share. All of them must ask for the same (`ConfigError` otherwise). They stay until every `owner`
    has released them.
    """
    training = ranking.training
    rankings = ranking.rankings(cache)
    folder = rankings.folder
    work = cache / "work" / folder.name
    agreement.agree("what is to be ranked", folder.name)
    if owner is not None:  # before they exist, so that nobody else's release comes in between
        agreement.first(lambda: hold(folder, owner))

    def join(unfinished: Path, blocks: shared_blocks.Files[np.ndarray], seconds: float) -> None:
        _put_together(unfinished, blocks, training)
        card = {**ranking.identity(), "queries": len(training.queries), "seconds": seconds}
        (unfinished / "card.json").write_text(json.dumps(card, indent=2))
        shown = ranking.miner_identity["miner"]
        log.info(
            "ranked %s for %s by %s in %.1f s",
            *(counted(len(ranking.pool), "document"), counted(card["queries"], *QUERIES), shown, seconds),
        )

    shared_blocks.built(folder, work, lambda: _rank(ranking, work), join, together=ranking.miner.collective)
    return rankings


def _rank(ranking: Ranking, work: Path) -> shared_blocks.Files[np.ndarray]:
    """Rank in blocks, set by set, into the work folders; ranks that share the work take turns.

    Returns each block's queries and file.
    """
    training = ranking.training
    pending = tasks(training, training.queries, ranking.pool, work)
    width = min(ranking.width, max(len(task.pool) for _, task in pending))
    done: shared_blocks.Files[np.ndarray] = []
    with progress(shared_blocks.share_of(len(training.queries)), "rank", "queries") as bar:
        for queries, task in pending:
            task.work.mkdir(parents=True, exist_ok=True)
            blocks = shared_blocks.cut(queries, BLOCK, task.work, "ranked-{:05d}.npz")
            task = replace(task, queries=queries, depth=width)
            left = shared_blocks.any_missing(path for _, path in blocks)
            rank = ranker_of(ranking.miner, task) if left else None
            for rows, path in shared_blocks.own(blocks, bar, first=len(done)):
                assert rank is not None
                hits = rank(rows, training.known.padded(rows), width)
                write_arrays(path, ids=hits.ids, scores=hits.scores, positives=hits.positives)
                bar.update(len(rows))
            done += blocks
    return done


def _put_together(folder: Path, blocks: shared_blocks.Files[np.ndarray], training: TrainingSet) -> None:
    known, rows = training.known, len(training.data.queries)
    positives = np.full(len(known.values), np.nan, np.float32)
    with (
        RowWriter(folder / "ids.npy", rows, EMPTY["ids"]) as ids,
        RowWriter(folder / "scores.npy", rows, EMPTY["scores"]) as scores,
    ):
        for queries, path in blocks:
            with np.load(path) as block:
                ids.put(queries, block["ids"])
                scores.put(queries, block["scores"])
                filled = np.arange(block["positives"].shape[1]) < known.counts[queries][:, None]
                places = known.offsets[queries][:, None] + np.arange(filled.shape[1])
                positives[places[filled]] = block["positives"][filled]
    np.save(folder / "positives.npy", positives)
