"""A dual encoder, its token tables and a data set: ask it to rank the corpus for the queries of some splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hardneg import distributed
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.retrieval.embedding import embed_table
from hardneg.retrieval.metrics import Run
from hardneg.retrieval.search import exact


@dataclass(frozen=True)
class Retriever:
    """Ranks the whole corpus by exact search, with the towers as they are at the time of asking."""

    data: RetrievalData
    queries: TokenTable
    docs: TokenTable
    precision: str

    def runs(self, towers: Towers, splits: Sequence[str], depth: int) -> dict[str, Run]:
        """Return the `depth` best documents of each query of each split; the corpus is embedded once for all."""
        asked = {split: self.data.split(split).query_rows for split in splits}
        with distributed.whole_weights(towers):
            docs = embed_table(towers, self.docs, DOCUMENT, self.precision, "documents")
            embedded = {
                split: embed_table(towers, self.queries, QUERY, self.precision, f"{split} queries", rows)
                for split, rows in asked.items()
            }
        found = {}
        for split, rows in asked.items():
            queries = embedded[split]
            scores, ids = exact(
                queries[distributed.shard(len(rows))], [docs], depth
            )  # each rank a share of the queries
            scores, ids = (distributed.gather_rows(part, len(rows)) for part in (scores, ids))
            found[split] = Run(rows, ids.int().cpu().numpy(), scores.cpu().numpy())
        return found
