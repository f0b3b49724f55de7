"""A dual encoder, its token tables and a data set: ask it to rank the corpus for the queries of some splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from hardneg.data.tables import Ragged, RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.matrix.embedded import cut
from hardneg.retrieval.embed_tables import embed_table
from hardneg.retrieval.embedding_blocks import Blocks
from hardneg.retrieval.exact_search import exact
from hardneg.retrieval.metrics import Run
from hardneg.system import collectives, split_weights


@dataclass(frozen=True)
class Retriever:
    """Ranks the whole corpus by exact search, with the towers as they are at the time of asking.

    What is `seen` for a query is left out of its ranking. Of several data sets in one each query ranks the documents
    of its own. `whole` embeds all documents where others want the same vectors (see `CorpusVectors`); null: they are
    embedded here, and forgotten.
    """

    data: RetrievalData
    queries: TokenTable
    docs: TokenTable
    precision: str
    seen: Ragged | None = None
    whole: Callable[[Towers], Blocks] | None = None
    _held: list[Float[Tensor, "N D"] | None] = field(default_factory=list, init=False, repr=False, compare=False)

    def runs(
        self, towers: Towers, splits: Sequence[str], depth: int, documents: Int32[np.ndarray, " n"] | None = None
    ) -> dict[str, Run]:
        """Return the `depth` best documents of each query of each split; the corpus is embedded once for all.

        `documents` are the rows that are ranked, in order; null: all.
        """
        docs, queries = self._embedded(towers, splits, documents)
        return {split: self._run(queries[split], docs, split, depth, documents) for split in splits}

    @contextmanager
    def same_weights(self) -> Iterator[None]:
        """Embed all documents once for whatever is asked in this block, in which the weights do not change."""
        self._held.append(None)
        try:
            yield
        finally:
            self._held.clear()

    def nested(self, towers: Towers, splits: Sequence[str], depth: int) -> dict[str, dict[str, Run]]:
        """The same at each width that the towers are trained for, by split and suffix: "@64", ..., and "" at full.

        Queries and corpus are embedded once and cut.
        """
        docs, queries = self._embedded(towers, splits)
        found: dict[str, dict[str, Run]] = {split: {} for split in splits}
        for width in towers.widths:
            whole = width == towers.dim
            d = docs if whole else cut(docs, width, towers.normalize)
            for split in splits:
                q = queries[split] if whole else cut(queries[split], width, towers.normalize)
                found[split]["" if whole else f"@{width}"] = self._run(q, d, split, depth)
        return found

    def _embedded(
        self, towers: Towers, splits: Sequence[str], documents: Int32[np.ndarray, " n"] | None = None
    ) -> tuple[Float[Tensor, "N D"], dict[str, Float[Tensor, "_ D"]]]:
        """Embed the corpus, or these documents, and the queries of each split."""
        with split_weights.whole_weights(towers):
            docs = self._documents(towers, documents)
            queries = {}
            for split in splits:
                rows = self.data.split(split).query_rows
                queries[split] = embed_table(towers, self.queries, QUERY, self.precision, f"{split} queries", rows)
        return docs, queries

    def _documents(self, towers: Towers, rows: Int32[np.ndarray, " n"] | None) -> Float[Tensor, "N D"]:
        if rows is not None:
            return embed_table(towers, self.docs, DOCUMENT, self.precision, "documents", rows)
        if self._held and self._held[0] is not None:
            return self._held[0]
        if self.whole is None:
            docs = embed_table(towers, self.docs, DOCUMENT, self.precision, "documents")
        else:
            blocks, start = self.whole(towers), 0
            docs = torch.empty(len(blocks), blocks.dim, device=next(towers.parameters()).device)
            places = torch.from_numpy(blocks.rows).long().to(docs.device)
            for block in blocks:
                docs[places[start : start + len(block)]] = block.to(docs.device)
                start += len(block)
        if self._held:
            self._held[0] = docs
        return docs

    def _run(
        self,
        queries: Float[Tensor, "Q D"],
        docs: Float[Tensor, "N D"],
        split: str,
        depth: int,
        documents: Int32[np.ndarray, " n"] | None = None,
    ) -> Run:
        rows = self.data.split(split).query_rows
        more = 0 if self.seen is None else int(self.seen.counts[rows].max(initial=0))
        mine = collectives.shard(len(rows))  # each rank a share of the queries
        scores, ids = self._rank(rows[mine], queries[mine], docs, depth + more, documents)
        scores, ids = (collectives.gather_rows(part, len(rows)) for part in (scores, ids))
        run = Run(rows, ids.int().cpu().numpy(), scores.cpu().numpy())
        return run if self.seen is None else run.without(self.seen, depth)

    def _rank(
        self,
        rows: np.ndarray,
        q: Float[Tensor, "Q D"],
        docs: Float[Tensor, "N D"],
        depth: int,
        documents: Int32[np.ndarray, " n"] | None = None,
    ) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
        """Search for the query rows, set by set; a smaller set's lists are filled up with -1."""
        cuts = {part.name: (part.docs.start, part.docs.stop) for part in self.data.parts}
        if documents is not None:
            cuts = {name: tuple(np.searchsorted(documents, ends).tolist()) for name, ends in cuts.items()}
        width = min(depth, max(stop - start for start, stop in cuts.values()))
        scores = torch.full((len(q), width), -torch.inf, device=q.device)
        ids = torch.full((len(q), width), -1, device=q.device)
        for part, here in self.data.by_part(rows):
            start, stop = cuts[part.name]
            best, places = exact(q[here], [docs[start:stop]], depth)
            scores[here, : best.shape[1]], ids[here, : best.shape[1]] = best, places + start
        if documents is not None:
            ids = torch.where(ids >= 0, torch.from_numpy(documents).to(ids)[ids.clamp(min=0)], ids)
        return scores, ids


def seen(data: RetrievalData, split: str | None) -> Ragged | None:
    """What a query's ranking leaves out: the document that it is itself, and what this split's labels know as relevant.

    The latter because a recommender does not offer again what a user has taken.
    """
    if split is not None:
        return TrainingSet(data, split).excluded
    if data.own is None:
        return None
    queries = np.flatnonzero(data.own >= 0)
    return Ragged.of(queries, data.own[queries], len(data.queries))
