"""How many negatives are false: hide known positives, mine, filter, and count those that come back as negatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from hardneg.data.distinct import distinct
from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.filters.base import CandidateFilter
from hardneg.mining.base import Miner, mining_pool, ranker_of, tasks
from hardneg.mining.filtering import filter_hits
from hardneg.mining.health import drawable
from hardneg.mining.rankings import BLOCK, list_width
from hardneg.mining.store import KEPT
from hardneg.system.progress import progress
from hardneg.teachers.base import Teacher


@dataclass(frozen=True)
class Hidden:
    """A training set from which some relevant documents are hidden, and these, by query row."""

    training: TrainingSet
    pairs: Ragged


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval over queries (percentile bootstrap)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self:.1%}"

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


@dataclass(frozen=True)
class Leak:
    """What gets past one setting of the filters.

    leaked: share of the hidden positives that could be drawn as negatives. false_negatives: share of hidden positives
    among what could be drawn; the true rate is higher where more is relevant than is labelled. drawable: documents that
    could be drawn, per query. kept: the share of all that was mined that the filters kept.
    """

    leaked: Share
    false_negatives: Share
    drawable: float
    kept: float
    queries: int
    hidden: int


def hide(training: TrainingSet, share: float, seed: int) -> Hidden:
    """Hide this share of each query's known positives, but never all of them; queries with one positive take no part.

    What stays known by a document of the same text, or by a query of the same text, is not hidden. A generated set
    knows what is relevant beyond its labels: there these documents count as hidden, and no label is removed.

    Raises `DataError` where nothing can be hidden.
    """
    data = training.data
    if data.truth is not None:
        relevant = data.truth.relevant
        asked = np.isin(relevant.queries, training.queries)
        pairs = _unknown(relevant.queries[asked], relevant.docs[asked], training)
        if not len(pairs.values):
            raise DataError(
                f"all that is relevant in {data.name!r} is labelled, so nothing is hidden; set data.false_negative_rate"
            )
        return Hidden(training, pairs)
    rng = np.random.default_rng(seed)
    queries, docs = [], []
    for query in training.queries.tolist():
        positives = training.positives[query]
        count = min(max(round(share * len(positives)), 1), len(positives) - 1)
        docs.append(rng.permutation(positives)[:count])
        queries.append(np.full(count, query))
    rows, columns = np.concatenate(queries), np.concatenate(docs)
    if not len(rows):
        raise DataError(
            f"no query of {data.name!r} has two positives in split {training.split!r}: nothing can be hidden"
        )
    labels = data.split(training.split)
    width = len(data.corpus)
    taken = np.isin(labels.queries.astype(np.int64) * width + labels.docs, rows.astype(np.int64) * width + columns)
    without = TrainingSet(replace(data, qrels={**data.qrels, training.split: labels.take(~taken)}), training.split)
    pairs = _unknown(rows, columns, without)
    if not len(pairs.values):
        raise DataError(
            f"of the queries of {data.name!r} in split {training.split!r} none has two positives whose texts differ and"
            " that no other query of the same text has too: nothing can be hidden"
        )
    return Hidden(without, pairs)


def _unknown(queries: Int[np.ndarray, " n"], docs: Int[np.ndarray, " n"], training: TrainingSet) -> Ragged:
    """Return the pairs that the training set does not know to be relevant, by query row."""
    width = len(training.data.corpus)
    pairs = distinct(queries.astype(np.int64) * width + docs)
    known = distinct(training.known.row_ids * width + training.known.values)
    pairs = np.setdiff1d(pairs, known, assume_unique=True)
    return Ragged.of(pairs // width, pairs % width, len(training.data.queries))


def probe(
    miner: Miner,
    hidden: Hidden,
    settings: Mapping[str, Mapping[str, CandidateFilter]],
    depth: int,
    pool: int,
    documents: str,
    work: Path,
    teacher: Teacher | None = None,
) -> dict[str, Leak]:
    """Mine once and apply each setting's filters; `pool` is how many of the kept documents could be drawn.

    `miner` is ready, the filters and the teacher are prepared on `hidden.training`.
    """
    training = hidden.training
    queries = np.flatnonzero(hidden.pairs.counts).astype(np.int32)
    asked = tasks(training, queries, mining_pool(training, documents), work)
    width = list_width(training, queries, depth)
    counts: dict[str, list[np.ndarray]] = {name: [] for name in settings}
    if teacher is not None:
        teacher.open(work)
    with progress(len(queries), "probe", "queries") as bar:
        for of_set, task in asked:
            task.work.mkdir(parents=True, exist_ok=True)
            rank = ranker_of(miner, replace(task, queries=of_set, depth=width))
            for start in range(0, len(of_set), BLOCK):
                rows = of_set[start : start + BLOCK]
                known = training.known.padded(rows)
                hits = rank(rows, known, min(width, len(task.pool)))
                false = hidden.pairs.holds(rows, hits.ids)
                score = None if teacher is None else _once(teacher, rows, known, hits.ids)
                for name, filters in settings.items():
                    reasons, _ = filter_hits(hits, known, rows, filters, score)
                    counts[name].append(_count(hits.ids, reasons, false, pool))
                bar.update(len(rows))
    of_hidden = hidden.pairs.counts[queries]
    return {name: _leak(np.concatenate(found), of_hidden) for name, found in counts.items()}


def _once(
    teacher: Teacher, rows: np.ndarray, known: np.ndarray, hits: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Score everything the first time it is asked for: the settings share the scores."""
    found: list[np.ndarray] = []

    def score(_: np.ndarray) -> np.ndarray:
        if not found:
            found.append(teacher.score(rows, np.concatenate([known, hits], axis=1)))
        return found[0]

    return score


def _count(ids: np.ndarray, reasons: np.ndarray, false: np.ndarray, pool: int) -> Int[np.ndarray, "Q 4"]:
    """Count for each query the false negatives that could be drawn, all that could, those kept and those examined."""
    keeps = (ids >= 0) & (reasons == KEPT)
    drawn = drawable(keeps, pool)
    return np.stack([part.sum(axis=1) for part in (drawn & false, drawn, keeps, ids >= 0)], axis=1)


def _leak(counts: Int[np.ndarray, "Q 4"], hidden: Int[np.ndarray, " Q"]) -> Leak:
    false, drawn, kept, examined = counts.T
    return Leak(
        leaked=share_of(false, hidden),
        false_negatives=share_of(false, drawn),
        drawable=float(drawn.mean()),
        kept=float(kept.sum() / max(examined.sum(), 1)),
        queries=len(counts),
        hidden=int(hidden.sum()),
    )


def share_of(part: Float[np.ndarray, " Q"] | Int[np.ndarray, " Q"], whole: Int[np.ndarray, " Q"]) -> Share:
    """Sum of `part` over sum of `whole`, with an interval that takes queries, not documents, as the sample."""

    def ratio(p: np.ndarray, w: np.ndarray, axis: int = -1) -> Any:
        return p.sum(axis=axis) / np.maximum(w.sum(axis=axis), 1)

    value = float(ratio(part, whole))
    if len(part) < 2 or not part.any() or (part == whole).all():
        # Nothing varies: the rule of three for shares of 0 and 1.
        edge = 3 / max(int(whole.sum()), 3)
        return Share(value, max(0.0, value - edge) if value else 0.0, min(1.0, value + edge) if value < 1 else 1.0)
    found = stats.bootstrap(
        (part, whole), ratio, paired=True, vectorized=True, n_resamples=1000, batch=50, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Share(value, float(found.low), float(found.high))
