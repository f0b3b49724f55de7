"""Mine, filter, score, store: the steps between a miner and the lists that training draws from."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.matrix.candidates import Candidates
from hardneg.mining.assemble import MinedBlock, assemble, save
from hardneg.mining.base import Hits, Miner, Ranker, Task, mining_pool, ranker_of, tasks
from hardneg.mining.store import KEPT, Store
from hardneg.mining.teacher import Teacher
from hardneg.system import distributed
from hardneg.system.cache import built_once, built_together, fingerprint, hold
from hardneg.system.progress import progress

log = logging.getLogger(__name__)

BLOCK = 1024  # queries a step: bounds memory, and what an interruption costs
TAUGHT = 64  # likewise with a teacher, which takes thousands of times longer
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
        """Whether ranks share the work: what an encoder computes, but not an index of words, which each would need."""
        return self.miner.collective or self.teacher is not None

    def identity(self, training: TrainingSet, pool: np.ndarray) -> dict[str, Any]:
        """Name everything: a change of any of it is another store."""
        return {
            "miner": self.miner.identity(),
            "depth": self.depth,
            "pool": "all" if len(pool) == len(training.data.corpus) else fingerprint(pool.tolist()),
            "filters": {name: rule.identity() for name, rule in self.filters.items()},
            "teacher": None if self.teacher is None else self.teacher.identity(),
            "training": training.fingerprint,
        }


def mine_and_store(recipe: MiningRecipe, training: TrainingSet, cache: Path, owner: str | None = None) -> Store:
    """Return the recipe's store, mining it only if nobody has yet; an interrupted attempt goes on where it was.

    Of several processes that ask together one mines and the others wait; of several ranks each mines or scores a share,
    and all of them must ask for the same store (`ConfigError` otherwise). `owner`
    may come back for the store: it stays until every owner has released it.
    """
    pool = mining_pool(training, recipe.documents)
    identity = recipe.identity(training, pool)
    name = fingerprint(identity)
    work = cache / "work" / name
    distributed.agree("what is to be mined", name)
    if owner is not None:  # before it is there: nobody else's release comes between
        distributed.first(lambda: hold(cache / "stores" / name, owner))
    together = built_together if recipe.shared else built_once
    new = False

    def build(unfinished: Path | None) -> None:
        nonlocal new
        new, started = True, time.perf_counter()
        blocks = _mine(recipe, training, tasks(training, training.queries, pool, work), work)
        distributed.barrier()  # the last block may be another rank's
        if unfinished is not None:
            check_seen(blocks)
            seconds = round(time.perf_counter() - started, 3)
            facts = {"reasons": ["kept", *recipe.filters], "documents": len(pool), "queries": len(training.queries)}
            facts["seconds"] = seconds
            assemble(unfinished, blocks, training, {**identity, **facts})
            cut = None if recipe.teacher is None else recipe.teacher.truncation()
            if cut is not None and (said := cut.told("pairs that the teacher scored", "teacher.max_length")):
                log.info("%s", said)
            log.info("mined %s in %.1f s: store %s", recipe.miner.identity()["miner"], seconds, name)

    folder = together(cache / "stores" / name, build)
    new = distributed.first(lambda: new)  # some work is done by rank 0 alone
    if distributed.rank() == 0:
        shutil.rmtree(work, ignore_errors=True)
        _remove_abandoned(cache / "work")
    return Store(folder, new)


def check_seen(blocks: list[tuple[np.ndarray, Path]]) -> None:
    """Raise `ConfigError` for a block that another rank has mined and that is not there."""
    if missing := [path for _, path in blocks if not path.exists()]:
        raise ConfigError(
            f"{missing[0]} was written by another rank but cannot be seen here; `cache` must be a folder that all ranks"
            " share"
        )


def _mine(
    recipe: MiningRecipe, training: TrainingSet, pending: list[tuple[np.ndarray, Task]], work: Path
) -> list[tuple[np.ndarray, Path]]:
    """Mine the training queries in blocks into the work folders, those of a teacher into `work`.

    Returns each block's rows and file. Ranks that share the work take turns, block by block.
    """
    # A query's known positives are mined first and filtered out: ask for that many more, so that lists stay full. A
    # few queries with hundreds of positives must not widen every list: beyond `depth` more their lists may fall short.
    width = recipe.depth + min(int(training.known.counts[training.queries].max(initial=0)), recipe.depth)
    width = min(width, max(len(task.pool) for _, task in pending))
    size = BLOCK if recipe.teacher is None else TAUGHT
    ranks, own = distributed.world_size(), distributed.rank()
    done: list[tuple[np.ndarray, Path]] = []
    asked = False
    with progress(-(-len(training.queries) // ranks), "mine", "queries") as bar:
        for queries, task in pending:
            task.work.mkdir(parents=True, exist_ok=True)
            blocks = [
                (queries[start : start + size], task.work / f"hits-{start // size:05d}.npz")
                for start in range(0, len(queries), size)
            ]
            rank: Ranker | None = None
            # By all or none, whatever each sees of the folder; one may still be at an earlier set.
            if any(distributed.everyone(not all(path.exists() for _, path in blocks))):
                rank = ranker_of(recipe.miner, replace(task, queries=queries, depth=width))
                if recipe.teacher is not None and not asked:
                    asked = True
                    recipe.teacher.open(work)
            for number, (rows, path) in enumerate(blocks, start=len(done)):
                if number % ranks != own:
                    continue
                if path.exists():
                    bar.skip(len(rows))
                    continue
                assert rank is not None
                save(path, mine_block(rank, recipe, training, rows, width))
                bar.update(len(rows))
            done += blocks
    return done


def mine_block(
    rank: Ranker, recipe: MiningRecipe, training: TrainingSet, queries: Int32[np.ndarray, " Q"], width: int
) -> MinedBlock:
    """Take one block of queries through the steps."""
    known = training.known.padded(queries)
    hits = rank(queries, known, width)
    score = None if recipe.teacher is None else _scorer(recipe.teacher, queries)
    reasons, teacher = filter_hits(hits, known, queries, recipe.filters, score)
    lowest = np.where(np.isnan(hits.positives), np.inf, hits.positives).min(axis=1)
    positive = np.where(np.isinf(lowest), np.nan, lowest).astype(np.float32)
    if teacher is None:
        return MinedBlock(hits.ids, hits.scores, reasons, positive, None, None)
    of_known, of_hits = teacher[:, : known.shape[1]], teacher[:, known.shape[1] :]
    return MinedBlock(hits.ids, hits.scores, reasons, positive, of_hits, _labelled(of_known, known, training, queries))


def _labelled(
    scores: Float32[np.ndarray, "Q P"], known: Int32[np.ndarray, "Q P"], training: TrainingSet, queries: np.ndarray
) -> Float32[np.ndarray, "Q W"]:
    """Pick the labelled positives' scores out of those of all known ones, in the order of the labels."""
    width = int(training.positives.counts[training.queries].max())
    out = np.full((len(queries), width), np.nan, np.float32)
    for row, query in enumerate(queries.tolist()):
        places = np.searchsorted(training.known[query], training.positives[query])
        out[row, : len(places)] = scores[row, places]
    return out


def filter_hits(
    hits: Hits,
    known: Int32[np.ndarray, "Q P"],
    queries: Int32[np.ndarray, " Q"],
    filters: Mapping[str, CandidateFilter],
    score: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[UInt8[np.ndarray, "Q K"], Float32[np.ndarray, "Q PK"] | None]:
    """Say of every hit which filter dropped it first: code 0 is kept, i is the i-th filter (from 1).

    The query's known positives stand before the hits with the miner's own scores, for rules that measure against them.
    `score` gives teacher scores; it is asked only for positives and for what the cheaper filters left, before the first
    filter that reads them, or at the end. Returns them too, for positives and hits, NaN for what was never scored.
    """
    columns = known.shape[1]
    ids = torch.from_numpy(np.concatenate([known, hits.ids], axis=1)).long()
    first = torch.arange(ids.shape[1]).expand_as(ids) < columns
    c = Candidates(
        scores=torch.from_numpy(np.concatenate([hits.positives, hits.scores], axis=1)),
        ids=ids,
        positive=first & (ids >= 0),
        valid=ids >= 0,
        source=(~first).long(),
        names=("positive", "mined"),
        query_ids=torch.from_numpy(queries).long(),
        rank=torch.where(first, -1, torch.arange(ids.shape[1]) - columns),
    )
    positive_ids = torch.from_numpy(known).long()
    reasons = np.full(hits.ids.shape, KEPT, np.uint8)
    for code, rule in enumerate(filters.values(), start=1):
        if rule.at == "live":
            continue
        if rule.needs_teacher and c.teacher is None and score is not None:
            c = _scored(c, score)
        dropped = c.negative & ~rule(c, positive_ids)
        reasons[dropped[:, columns:].numpy()] = code
        c = c.keep(~dropped)
    if c.teacher is None and score is not None:
        c = _scored(c, score)
    return reasons, None if c.teacher is None else c.teacher.numpy()


def _scored(c: Candidates, score: Callable[[np.ndarray], np.ndarray]) -> Candidates:
    asked = c.ids.masked_fill(~c.valid, -1).numpy().astype(np.int32)
    return c.scored_by(torch.from_numpy(score(asked)))


def _scorer(teacher: Teacher, queries: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda docs: teacher.score(queries, docs)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed runs left and never came back for; nothing reads it but the same task."""
    for left in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another run may be tidying up too
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
