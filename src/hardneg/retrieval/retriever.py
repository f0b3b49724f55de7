"""A dual encoder, its token tables and a data set: ask it to rank the corpus for the queries of some splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from hardneg import distributed
from hardneg.data.tables import Ragged, RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.data.training import TrainingSet
from hardneg.embedded import cut
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.retrieval.embedding import embed_table
from hardneg.retrieval.metrics import Run
from hardneg.retrieval.search import exact


@dataclass(frozen=True)
class Retriever:
    """Ranks the whole corpus by exact search, with the towers as they are at the time of asking.

    What is `seen` for a query is left out of its ranking.
    """

    data: RetrievalData
    queries: TokenTable
    docs: TokenTable
    precision: str
    seen: Ragged | None = None

    def runs(self, towers: Towers, splits: Sequence[str], depth: int) -> dict[str, Run]:
        """Return the `depth` best documents of each query of each split; the corpus is embedded once for all."""
        docs = embed_table(towers, self.docs, DOCUMENT, self.precision, "documents")
        return {split: self._run(self._queries(towers, split), docs, split, depth) for split in splits}

    def nested(self, towers: Towers, split: str, depth: int) -> dict[str, Run]:
        """The same of one split at each width that the towers are trained for, by suffix: "@64", ..., and "" at full.

        Queries and corpus are embedded once and cut.
        """
        docs = embed_table(towers, self.docs, DOCUMENT, self.precision, "documents")
        queries = self._queries(towers, split)
        found = {}
        for width in towers.widths:
            if width == towers.dim:
                found[""] = self._run(queries, docs, split, depth)
            else:
                q, d = (cut(part, width, towers.normalize) for part in (queries, docs))
                found[f"@{width}"] = self._run(q, d, split, depth)
        return found

    def _queries(self, towers: Towers, split: str) -> Float[Tensor, "Q D"]:
        rows = self.data.split(split).query_rows
        return embed_table(towers, self.queries, QUERY, self.precision, f"{split} queries", rows)

    def _run(self, queries: Float[Tensor, "Q D"], docs: Float[Tensor, "N D"], split: str, depth: int) -> Run:
        rows = self.data.split(split).query_rows
        more = 0 if self.seen is None else int(self.seen.counts[rows].max(initial=0))
        scores, ids = exact(
            queries[distributed.shard(len(rows))], [docs], depth + more
        )  # each rank a share of the queries
        scores, ids = (distributed.gather_rows(part, len(rows)) for part in (scores, ids))
        run = Run(rows, ids.int().cpu().numpy(), scores.cpu().numpy())
        return run if self.seen is None else run.without(self.seen, depth)


def seen(data: RetrievalData, split: str | None) -> Ragged | None:
    """What is known to be relevant by this split's labels: a recommender does not offer again what a user has taken."""
    return None if split is None else TrainingSet(data, split).known
