"""A teacher's scores of the negatives that come with the data, in blocks of queries that ranks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardneg.data.pair_scores import PairScores
from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.system import shared_blocks
from hardneg.system.cache import fingerprint
from hardneg.system.memory_map import write_arrays
from hardneg.system.own_code import identity_of
from hardneg.system.progress import progress
from hardneg.teachers.base import Teacher

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
    name = fingerprint({"given": lists, "teacher": identity_of(teacher), "training": training.fingerprint})
    work = cache / "work" / f"given-{name}"

    def join(unfinished: Path, blocks: shared_blocks.Files[np.ndarray], _: float) -> None:
        table = _joined([path for _, path in blocks])
        np.save(unfinished / "pairs.npy", table.pairs)
        np.save(unfinished / "scores.npy", table.scores)

    folder = shared_blocks.built(cache / "given" / name, work, lambda: _score(teacher, training, given, work), join)
    return PairScores(np.load(folder / "pairs.npy"), np.load(folder / "scores.npy"))


def _score(teacher: Teacher, training: TrainingSet, given: Ragged, work: Path) -> shared_blocks.Files[np.ndarray]:
    """Score this rank's blocks that an earlier attempt has not scored; return all blocks."""
    blocks = shared_blocks.cut(training.queries, BLOCK, work, "{:06d}.npz")
    work.mkdir(parents=True, exist_ok=True)
    with progress(shared_blocks.share_of(len(training.queries)), "score given negatives", "queries") as bar:
        for rows, path in shared_blocks.own(blocks, bar):
            both = np.concatenate([training.positives.padded(rows), given.padded(rows)], axis=1)
            real = both >= 0
            queries = np.repeat(rows, both.shape[1]).reshape(both.shape)
            scores = teacher.score(rows, both)
            write_arrays(path, queries=queries[real], docs=both[real], scores=scores[real])
            bar.update(len(rows))
    return blocks


def _joined(paths: list[Path]) -> PairScores:
    parts = []
    for path in paths:
        with np.load(path) as block:
            parts.append([block[key] for key in ("queries", "docs", "scores")])
    queries, docs, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PairScores.of(queries, docs, scores)
