"""A teacher's scores of the negatives that come with the data, in blocks of queries that ranks share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from hardneg.data.pair_scores import PairScores
from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.mining.teacher import Teacher
from hardneg.system import agreement, distributed, shared_blocks
from hardneg.system.cache import built_together, check_seen, fingerprint
from hardneg.system.memory_map import write_arrays
from hardneg.system.progress import progress

BLOCK = 64  # queries that a teacher scores at a time


def given_scores(teacher: Teacher, training: TrainingSet, cache: Path) -> PairScores:
    """Return a teacher's scores of each training query's positives and given negatives, kept in the cache.

    Each rank scores a share of the blocks, so all must ask, with a prepared teacher; `cache` must be a folder that all
    of them see (`ConfigError` otherwise). Finished blocks survive an interruption. The scores do not depend on the
    number of ranks: a block is scored by one rank as a whole. Raises `DataError` where the data name no negatives.
    """
    given = training.data.given
    if given is None:
        raise DataError(f"{training.data.name!r} names no negatives")
    lists = [given.offsets.tolist(), fingerprint(given.values.tolist())]
    name = fingerprint({"given": lists, "teacher": teacher.identity(), "training": training.fingerprint})
    work = cache / "work" / f"given-{name}"
    blocks = shared_blocks.cut(training.queries, BLOCK, work, "{:06d}.npz")

    def build(unfinished: Path | None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        _score(teacher, training, given, blocks)
        agreement.barrier()  # the last block may be another rank's
        if unfinished is None:
            return
        check_seen([path for _, path in blocks])
        table = _joined([path for _, path in blocks])
        np.save(unfinished / "pairs.npy", table.pairs)
        np.save(unfinished / "scores.npy", table.scores)

    folder = built_together(cache / "given" / name, build)
    check_seen([folder])
    if distributed.rank() == 0:
        shutil.rmtree(work, ignore_errors=True)
    return PairScores(np.load(folder / "pairs.npy"), np.load(folder / "scores.npy"))


def _score(teacher: Teacher, training: TrainingSet, given: Ragged, blocks: list[tuple[np.ndarray, Path]]) -> None:
    """Score this rank's blocks that an earlier attempt has not scored."""
    with progress(shared_blocks.share_of(len(training.queries)), "score given negatives", "queries") as bar:
        for rows, path in shared_blocks.own(blocks, bar):
            both = np.concatenate([training.positives.padded(rows), given.padded(rows)], axis=1)
            real = both >= 0
            queries = np.repeat(rows, both.shape[1]).reshape(both.shape)
            scores = teacher.score(rows, both)
            write_arrays(path, queries=queries[real], docs=both[real], scores=scores[real])
            bar.update(len(rows))


def _joined(paths: list[Path]) -> PairScores:
    parts = []
    for path in paths:
        with np.load(path) as block:
            parts.append([block[key] for key in ("queries", "docs", "scores")])
    queries, docs, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PairScores.of(queries, docs, scores)
