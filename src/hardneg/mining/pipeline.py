"""Rank, filter, score, store: the steps between a miner and the lists that training draws from."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from hardneg.data.training_set import TrainingSet
from hardneg.filters.base import CandidateFilter
from hardneg.mining.assemble import FilteredBlock, assemble, save
from hardneg.mining.base import Miner
from hardneg.mining.filtering import filter_hits
from hardneg.mining.rankings import BLOCK, Ranking, StoredRankings, ranked
from hardneg.mining.store import Store
from hardneg.system import agreement, distributed, shared_blocks
from hardneg.system.cache import fingerprint, hold
from hardneg.system.own_code import identity_of
from hardneg.system.progress import progress
from hardneg.teachers.base import Teacher

log = logging.getLogger(__name__)

TAUGHT = 64  # queries per step with a teacher, which takes thousands of times longer than filters
ABANDONED = 7 * 24 * 3600  # seconds after which the unfinished work of a run that never came back is removed


@dataclass(frozen=True)
class MiningRecipe:
    """All that decides a store but the texts: miner, depth, documents, filters, teacher.

    `miner` is ready (see `Miner.ready`); `filters` and `teacher` are prepared.
    """

    miner: Miner
    depth: int
    documents: str
    filters: Mapping[str, CandidateFilter]
    teacher: Teacher | None = None

    @property
    def shared(self) -> bool:
        """Whether ranks share the work: of an encoder, but not of an index of words, which each would need."""
        return self.miner.collective or self.teacher is not None

    def ranking(self, training: TrainingSet) -> Ranking:
        """The ranking that is filtered."""
        return Ranking(self.miner, self.depth, self.documents, training)

    def identity(self, ranking: Ranking) -> dict[str, Any]:
        """Name everything: any change makes another store."""
        return {
            "miner": ranking.miner_identity,
            "depth": self.depth,
            "pool": ranking.pool_name,
            "filters": {name: identity_of(rule) for name, rule in self.filters.items()},
            "order": list(self.filters),  # some look at what those before them left, and `fingerprint` sorts names
            "teacher": None if self.teacher is None else identity_of(self.teacher),
            "training": ranking.training.fingerprint,
        }


def mine_and_store(recipe: MiningRecipe, training: TrainingSet, cache: Path, owner: str | None = None) -> Store:
    """Return the recipe's store, mining it only if nobody has yet; an interrupted attempt goes on where it was.

    The miner's rankings are a layer of their own: other filters on the same rankings cost no search. Of several
    processes that ask together one mines and the others wait; of several ranks each mines or scores a share, and all of
    them must ask for the same store (`ConfigError` otherwise). The store stays until every `owner` has released it.
    """
    ranking = recipe.ranking(training)
    identity = recipe.identity(ranking)
    name = fingerprint(identity)
    work = cache / "work" / name
    agreement.agree("what is to be mined", name)
    if owner is not None:  # before the store exists, so that nobody else's release comes in between
        agreement.first(lambda: hold(cache / "stores" / name, owner))
    new = False

    def make() -> shared_blocks.Files[np.ndarray]:
        return _filtered(recipe, training, ranked(ranking, cache, owner), work)

    def join(unfinished: Path, blocks: shared_blocks.Files[np.ndarray], seconds: float) -> None:
        nonlocal new
        new, rankings = True, ranking.rankings(cache)
        facts = {"reasons": ["kept", *recipe.filters], "documents": len(ranking.pool), "queries": len(training.queries)}
        facts |= {"seconds": seconds, "rankings": rankings.folder.name}
        assemble(unfinished, blocks, rankings, training, {**identity, **facts})
        cut = None if recipe.teacher is None else recipe.teacher.truncation()
        if cut is not None and (said := cut.told("pairs that the teacher scored", "teacher.max_length")):
            log.info("%s", said)
        log.info("mined %s in %.1f s: store %s", ranking.miner_identity["miner"], seconds, name)

    folder = shared_blocks.built(cache / "stores" / name, work, make, join, together=recipe.shared)
    new = agreement.first(lambda: new)  # joined by rank 0 alone
    if distributed.rank() == 0:
        _remove_abandoned(cache / "work")
    return Store(folder, new)


def _filtered(
    recipe: MiningRecipe, training: TrainingSet, rankings: StoredRankings, work: Path
) -> shared_blocks.Files[np.ndarray]:
    """Filter and score in blocks into `work`; ranks that share the work take turns. Returns each block's queries."""
    size = BLOCK if recipe.teacher is None else TAUGHT
    blocks = shared_blocks.cut(training.queries, size, work, "filtered-{:05d}.npz")
    work.mkdir(parents=True, exist_ok=True)
    if recipe.teacher is not None and shared_blocks.any_missing(path for _, path in blocks):
        recipe.teacher.open(work)
    what = "filter" if recipe.teacher is None else "score"
    with progress(shared_blocks.share_of(len(training.queries)), what, "queries") as bar:
        for rows, path in shared_blocks.own(blocks, bar):
            save(path, filtered_block(recipe, training, rankings, rows))
            bar.update(len(rows))
    return blocks


def filtered_block(
    recipe: MiningRecipe, training: TrainingSet, rankings: StoredRankings, queries: Int32[np.ndarray, " Q"]
) -> FilteredBlock:
    """Take one block of queries through the filters and the teacher."""
    known, hits = training.known.padded(queries), rankings.hits(queries)
    score = None if recipe.teacher is None else _scorer(recipe.teacher, queries)
    reasons, teacher = filter_hits(hits, known, queries, recipe.filters, score)
    lowest = np.where(np.isnan(hits.positives), np.inf, hits.positives).min(axis=1)
    positive = np.where(np.isinf(lowest), np.nan, lowest).astype(np.float32)
    if teacher is None:
        return FilteredBlock(reasons, positive, None, None)
    of_known, of_hits = teacher[:, : known.shape[1]], teacher[:, known.shape[1] :]
    return FilteredBlock(reasons, positive, of_hits, _labelled(of_known, known, training, queries))


def _labelled(
    scores: Float32[np.ndarray, "Q P"], known: Int32[np.ndarray, "Q P"], training: TrainingSet, queries: np.ndarray
) -> Float32[np.ndarray, "Q W"]:
    """Pick the labelled positives' scores out of those of all known ones, in the order of the labels."""
    width = int(training.positives.counts[training.queries].max())
    out = np.full((len(queries), width), np.nan, np.float32)
    labelled = training.positives.holds(queries, known)
    out[np.arange(width) < labelled.sum(axis=1, keepdims=True)] = scores[labelled]
    return out


def _scorer(teacher: Teacher, queries: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda docs: teacher.score(queries, docs)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed runs left and never came back for; only the same task would read it."""
    for left in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another run may be tidying up too
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
