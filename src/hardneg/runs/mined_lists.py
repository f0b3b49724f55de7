"""Mined lists of a run, opened to look at: each document with its text, its score and its fate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hardneg.data.ragged import Ragged
from hardneg.data.training_set import TrainingSet
from hardneg.errors import UserError
from hardneg.mining.health import dropped
from hardneg.mining.score_histograms import histogram
from hardneg.mining.store import Store
from hardneg.pairs.report import kept_of
from hardneg.runs.drawn_stores import read_stores
from hardneg.runs.saved_config import open_data, read_config

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class MinedLists:
    """The lists of one source, with the data that they are of."""

    source: str
    store: Store
    training: TrainingSet

    @cached_property
    def queries(self) -> list[str]:
        """The ids of the queries that have a list."""
        return self.training.data.queries.ids.take(np.flatnonzero(self.store.mined)).to_pylist()

    @cached_property
    def fates(self) -> dict[str, int]:
        """Count the mined documents by fate: `kept`, or the filter that dropped them first."""
        return dropped(self.store)

    def table(self, queries: Iterable[str]) -> pa.Table:
        """Return the lists of these queries as one table, a row a document, best first.

        Columns: query, query_text, rank (from 0), document, text, score (the miner's), positive_score (of the query's
        lowest known positive), fate (`kept`, or the filter that dropped it), relevant: `labelled`, in generated data
        also `hidden` (relevant, but not labelled), else empty. `to_pandas()` makes a data frame of it. Raises
        `UserError` for an id that no query of the set has.
        """
        data, reasons = self.training.data, self.store.card["reasons"]
        rows = [self._row(query) for query in queries]
        places = [np.flatnonzero(self.store.ids[row] >= 0) for row in rows]
        of = np.repeat(rows, [len(found) for found in places]).astype(np.int64)
        rank = np.concatenate([*places, np.empty(0, np.int64)]).astype(np.int64)
        docs = self.store.ids[of, rank]
        return pa.table(
            {
                "query": data.queries.ids.take(of),
                "query_text": data.queries.texts.take(of),
                "rank": rank,
                "document": data.corpus.ids.take(docs),
                "text": data.corpus.texts.take(docs),
                "score": self.store.scores[of, rank],
                "positive_score": self.store.positive[of],
                "fate": [reasons[code] for code in self.store.reasons[of, rank]],
                "relevant": [self._relevant(query, doc) for query, doc in zip(of.tolist(), docs.tolist(), strict=True)],
            }
        )

    def histogram(self) -> Figure:
        """Draw the miner's scores: those of positives, of kept documents, and of what each filter dropped."""
        return histogram({self.source: self.store})

    def _row(self, query: str) -> int:
        rows = self.training.data.queries.rows
        if query not in rows:
            raise UserError(f"{self.training.data.name} has no query {query!r}; `queries` lists those that were mined")
        return rows[query]

    def _relevant(self, query: int, doc: int) -> str:
        if doc in self.training.known[query]:
            return "labelled"
        return "hidden" if self._truth is not None and doc in self._truth[query] else ""

    @cached_property
    def _truth(self) -> Ragged | None:
        data = self.training.data
        return None if data.truth is None else Ragged.of(data.truth.queries, data.truth.docs, len(data.queries))


def open_mined(folder: str | Path, source: str | None = None, round: int = -1) -> MinedLists:
    """Open the lists that `hardneg mine` or `hardneg train` mined, from the run folder, with their data.

    `source` is optional if there is only one; `round` counts a training run's lists from 0, and -1 is the last. Raises
    `UserError` if the folder is not a run, nothing was mined for the source, or the lists are no longer in the cache.
    """
    folder = Path(folder)
    cfg = read_config(folder)
    found = read_stores(folder, list(cfg.get("negatives") or ()))
    if source is None and len(found) == 1:
        (source,) = found
    if source is None or source not in found:
        raise UserError(f"{folder}: choose a source of which there are mined lists: {', '.join(found) or 'none'}")
    names = found[source]
    if not -len(names) <= round < len(names):
        raise UserError(f"{folder}: {source} has {len(names)} rounds, so there is no round {round}")
    store = Path(cfg.cache) / "stores" / names[round]
    if not store.exists():
        raise UserError(f"{folder}: the lists of {source} are gone from the cache ({store}); mine them again")
    split = cfg.split if isinstance(cfg.split, str) else cfg.split.train
    return MinedLists(source, Store(store), TrainingSet(open_data(folder), split, kept_of(folder)))
