"""A part of the corpus that ranks models as all of it does, for evaluations during training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int32
from scipy import stats

from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import QueryRankings
from hardneg.system.cache import fingerprint


@dataclass(frozen=True)
class SubsetSize:
    """What a subset is made of: `evaluate.subset` in the config.

    `bm25` and `model`: documents that BM25, and the model before its first step, rank first for each dev query; 0 for
    none. `size`: random documents are added up to this number in all. `seed` draws them, whatever the run's is.
    Raises `ConfigError` for numbers that cannot be.
    """

    bm25: int = 100
    model: int = 100
    size: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"evaluate.subset.{key}={value!r} must be a whole number, 0 or more")


@dataclass(frozen=True)
class DevSubset:
    """The `rows` of the documents, in order, and how many came in for what; `of` is the number of all documents."""

    rows: Int32[np.ndarray, " n"]
    counts: Mapping[str, int]
    of: int

    @property
    def name(self) -> str:
        """What tells one subset from another: equal names, equal documents."""
        return fingerprint(self.rows.tolist())[:10]

    def facts(self) -> dict[str, Any]:
        """Describe it for a run's summary."""
        return {"kind": "subset", "name": self.name, "documents": len(self.rows), "of": self.of, **self.counts}

    def told(self) -> str:
        """Say what dev is ranked over."""
        parts = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in self.counts.items())
        return f"{len(self.rows)} of {self.of} documents (subset {self.name}: {parts})"


def choose(
    data: RetrievalData, dev: str, size: SubsetSize, bm25: QueryRankings | None, model: QueryRankings | None
) -> DevSubset:
    """Choose the documents: all that are relevant to a dev query, the first of both rankings, and random ones.

    The same data, rankings and numbers give the same subset. Relevant and highly ranked documents are taken however
    many they are.
    """
    chosen = np.zeros(len(data.corpus), bool)
    counts = {}
    ranked = {"first_of_bm25": (bm25, size.bm25), "first_of_the_untrained_model": (model, size.model)}
    named = {"relevant": data.split(dev).relevant.docs}
    named |= {what: run.ids[:, :top].ravel() for what, (run, top) in ranked.items() if run is not None}
    for what, rows in named.items():
        before = int(chosen.sum())
        chosen[rows[rows >= 0]] = True
        counts[what] = int(chosen.sum()) - before
    rest = np.flatnonzero(~chosen)
    more = min(max(size.size - int(chosen.sum()), 0), len(rest))
    chosen[np.random.default_rng(size.seed).choice(rest, more, replace=False)] = True
    counts["random"] = more
    return DevSubset(np.flatnonzero(chosen).astype(np.int32), counts, len(chosen))


@dataclass(frozen=True)
class Chooser:
    """Chooses the subset for the dev split of some data; `bm25` ranks it so deep, null: without BM25.

    A run that `compares` ranks dev over all documents too, at its first evaluation and at its end.
    """

    data: RetrievalData
    dev: str
    size: SubsetSize
    bm25: Callable[[int], QueryRankings] | None
    compares: bool

    def __call__(self, model: QueryRankings | None) -> DevSubset:
        """Choose, by what the model ranks first, `size.model` documents of each query."""
        bm25 = self.bm25(self.size.bm25) if self.bm25 is not None and self.size.bm25 else None
        return choose(self.data, self.dev, self.size, bm25, model)


def correlations(subset: Float[np.ndarray, " Q"], whole: Float[np.ndarray, " Q"]) -> dict[str, float]:
    """Compare a metric of each query on the subset with that on all documents.

    `pearson` and `kendall` (tau-b) are over the queries; NaN where a side is the same for all of them.
    """
    if np.array_equal(subset, whole):
        return {"pearson": 1.0, "kendall": 1.0}
    flat = len(subset) < 2 or np.ptp(subset) == 0 or np.ptp(whole) == 0
    return {
        "pearson": float("nan") if flat else float(stats.pearsonr(subset, whole).statistic),
        "kendall": float("nan") if flat else float(stats.kendalltau(subset, whole).statistic),
    }
