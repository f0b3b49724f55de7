"""A dual encoder, its token tables and a data set: ask it to rank the corpus for the queries of some splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32
from torch import Tensor

from hardneg.data.ragged import Ragged
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.matrix.embedded import cut
from hardneg.retrieval.corpus_pass import Documents, Lists
from hardneg.retrieval.embed_tables import embed_rows, embed_table
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks
from hardneg.retrieval.held_vectors import HeldVectors
from hardneg.retrieval.metrics import QueryRankings
from hardneg.system import collectives, distributed, split_weights
from hardneg.system.progress import progress

BLOCK = 65_536  # documents in memory at a time


@dataclass(frozen=True)
class Retriever:
    """Ranks the whole corpus by exact search, with the towers as they are at the time of asking.

    Documents are embedded and compared block by block, and of several ranks each does a share: memory does not grow
    with the corpus. What is `seen` for a query is left out of its ranking. Of several data sets in one each query ranks
    the documents of its own. `whole` embeds all documents where others need the same vectors (see `CorpusVectors`);
    null: they are embedded here. `held` keeps vectors in memory for rankings by the same weights; null: none are kept.
    """

    data: RetrievalData
    queries: TokenTable
    docs: TokenTable
    precision: str
    seen: Ragged | None = None
    whole: Callable[[Towers], EmbeddingBlocks] | None = None
    held: HeldVectors | None = None

    def runs(
        self, towers: Towers, splits: Sequence[str], depth: int, documents: Int32[np.ndarray, " n"] | None = None
    ) -> dict[str, QueryRankings]:
        """Return the `depth` best documents of each query of each split; the corpus is embedded once for all.

        `documents` are the rows that are ranked, in order; null: all.
        """
        found = self._ranked(towers, splits, depth, [towers.dim], documents)
        return {split: runs[""] for split, runs in found.items()}

    def nested(self, towers: Towers, splits: Sequence[str], depth: int) -> dict[str, dict[str, QueryRankings]]:
        """The same at each width that the towers are trained for, by split and suffix: "@64", ..., and "" at full.

        Queries and corpus are embedded once and cut.
        """
        return self._ranked(towers, splits, depth, list(towers.widths))

    def keep_vectors(self) -> None:
        """Keep what the last ranking of all documents has embedded for a later one by the same weights."""
        if self.held is not None:
            self.held.keep()

    def _ranked(
        self,
        towers: Towers,
        splits: Sequence[str],
        depth: int,
        widths: Sequence[int],
        documents: Int32[np.ndarray, " n"] | None = None,
    ) -> dict[str, dict[str, QueryRankings]]:
        with split_weights.whole_weights(towers):
            lists: dict[tuple[str, int], Lists] = {}
            for split in splits:
                rows = self.data.split(split).query_rows
                more = 0 if self.seen is None else int(self.seen.counts[rows].max(initial=0))
                q = embed_table(towers, self.queries, QUERY, self.precision, f"{split} queries", rows)
                for width in widths:
                    lists[split, width] = Lists(self.data, rows, _cut(q, width, towers), depth + more)
            for rows, vectors in self._documents(towers, documents):
                for width in widths:
                    narrow = _cut(vectors, width, towers)
                    for split in splits:
                        lists[split, width].meet(rows, narrow)
        longest = self._longest(documents)
        suffixes = {width: "" if width == towers.dim else f"@{width}" for width in widths}
        return {
            split: {suffix: self._run(lists[split, width], longest, depth) for width, suffix in suffixes.items()}
            for split in splits
        }

    def _longest(self, documents: Int32[np.ndarray, " n"] | None) -> int:
        """The number of documents of the largest set that is ranked."""
        if documents is None:
            return max(len(part.docs) for part in self.data.parts)
        ends = [np.searchsorted(documents, [part.docs.start, part.docs.stop]) for part in self.data.parts]
        return max(int(end - start) for start, end in ends)

    def _run(self, lists: Lists, longest: int, depth: int) -> QueryRankings:
        scores, ids = lists.best(longest)
        run = QueryRankings(lists.rows, ids, scores)
        return run if self.seen is None else run.without(self.seen, depth)

    def _documents(self, towers: Towers, documents: Int32[np.ndarray, " n"] | None) -> Documents:
        """Yield this rank's share of the documents, or of these, block by block."""
        rows = np.arange(len(self.docs), dtype=np.int32) if documents is None else documents
        mine = rows[collectives.shard(len(rows))]
        if self.held is None or documents is not None:
            return self._embedded(towers, mine, whole=documents is None)
        most = -(-len(rows) // distributed.world_size())
        return self.held.or_embedded(towers, most, lambda: self._embedded(towers, mine, whole=True))

    def _embedded(self, towers: Towers, rows: np.ndarray, whole: bool) -> Documents:
        """Embed these documents, or read their vectors where all have been embedded into blocks on disk."""
        cuts = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
        if self.whole is not None and whole:
            blocks, device = self.whole(towers), next(towers.parameters()).device
            with progress(len(rows), "rank documents", "texts") as bar:
                for part in cuts:
                    yield part, blocks.take(part).to(device)
                    bar.update(len(part))
            return
        with progress(len(rows), "embed documents", "texts") as bar:
            for part in cuts:
                yield part, embed_rows(towers, self.docs, DOCUMENT, self.precision, part, bar)


def _cut(vectors: Float[Tensor, "N D"], width: int, towers: Towers) -> Float[Tensor, "N W"]:
    return vectors if width == towers.dim else cut(vectors, width, towers.normalize)


def seen(data: RetrievalData, split: str | None) -> Ragged | None:
    """What a query's ranking leaves out: the document that is the query, and what this split labels as relevant.

    The latter since a recommender does not offer again what a user has taken.
    """
    if split is not None:
        return TrainingSet(data, split).excluded
    if data.own is None:
        return None
    queries = np.flatnonzero(data.own >= 0)
    return Ragged.of(queries, data.own[queries], len(data.queries))
