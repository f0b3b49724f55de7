"""One judge for both sides: it has texts encoded, ranks all documents exactly, and measures nDCG@10 query by query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from clock import Encode

from hardneg.compare.clusters import components
from hardneg.data.readers.beir import Beir
from hardneg.retrieval.exact_search import exact
from hardneg.retrieval.metrics import QueryRankings, per_query

METRIC, DEPTH = "ndcg@10", 100


class Judge:
    """A data set, and what its dev and test queries say of an encoder."""

    def __init__(self, path: Path) -> None:
        self.data = Beir(path=str(path)).load()
        self.docs = self.data.corpus.take(np.arange(len(self.data.corpus)))
        self.test = list[float]()

    def pairs(self) -> dict[str, list[str]]:
        """Every labelled pair of the training queries, as texts."""
        judged = self.data.split("train")
        positive = judged.scores > 0
        queries, docs = judged.queries[positive], judged.docs[positive]
        return {"anchor": self.data.queries.take(queries), "positive": self.data.corpus.take(docs)}

    def look(self, encode: Encode, last: bool) -> float:
        """Return dev's mean; with the `last` weights keep the values of the test queries too."""
        docs = torch.nn.functional.normalize(torch.from_numpy(encode(self.docs, "document")), dim=-1)
        if last:
            self.test = self._values(encode, docs, "test").tolist()
        return float(self._values(encode, docs, "dev").mean())

    def _values(self, encode: Encode, docs: torch.Tensor, split: str) -> np.ndarray:
        judged = self.data.split(split)
        rows = judged.query_rows
        queries = torch.nn.functional.normalize(torch.from_numpy(encode(self.data.queries.take(rows), "query")), dim=-1)
        scores, found = exact(queries, [docs], DEPTH)
        run = QueryRankings(rows, found.numpy().astype(np.int32), scores.numpy())
        return per_query(run, judged, self.data, [METRIC])[METRIC]

    def clusters(self) -> np.ndarray:
        """Number the test queries so that those that share a positive document have one number."""
        judged = self.data.split("test")
        return components(judged, len(self.data.queries))[judged.query_rows]
