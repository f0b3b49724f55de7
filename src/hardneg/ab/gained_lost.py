"""Good results lost and gained: relevant documents that left or entered the first k."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hardneg.retrieval.metrics import Labels

Lists = Mapping[str, Sequence[str]]  # query -> documents, best first


@dataclass(frozen=True)
class Move:
    """One relevant document of a query: its rank in either ranking, from 1; None where it is not ranked."""

    query: str
    doc: str
    old: int | None
    new: int | None


@dataclass(frozen=True)
class Changes:
    """What happened to the relevant documents of `queries` queries at the first `k` ranks."""

    k: int
    queries: int
    moves: tuple[Move, ...]

    def _inside(self, rank: int | None) -> bool:
        return rank is not None and rank <= self.k

    @property
    def lost(self) -> list[Move]:
        """Relevant documents that OLD has in the first k and NEW does not."""
        return [move for move in self.moves if self._inside(move.old) and not self._inside(move.new)]

    @property
    def gained(self) -> list[Move]:
        """Relevant documents that NEW has in the first k and OLD does not."""
        return [move for move in self.moves if self._inside(move.new) and not self._inside(move.old)]

    @property
    def lost_share(self) -> float:
        """The share of all queries that lost a relevant document."""
        return len({move.query for move in self.lost}) / self.queries

    @property
    def gained_share(self) -> float:
        """The share of all queries that gained one."""
        return len({move.query for move in self.gained}) / self.queries


def changes(old: Lists, new: Lists, relevant: Mapping[str, Sequence[str]], k: int) -> Changes:
    """Look up the rank of each relevant document in both rankings."""
    moves = (move for query in relevant for move in _moves(query, old, new, relevant[query]))
    return Changes(k, len(relevant), tuple(moves))


def _moves(query: str, old: Lists, new: Lists, relevant: Sequence[str]) -> Iterator[Move]:
    ranks = [{doc: rank for rank, doc in enumerate(side.get(query, ()), start=1)} for side in (old, new)]
    for doc in relevant:
        yield Move(query, doc, *(rank.get(doc) for rank in ranks))


def unjudged(ranked: Lists, labels: Labels, queries: Sequence[str], k: int) -> float:
    """Return the share of the first `k` results that nobody judged, averaged over the queries (BEIR's Hole@k)."""
    shares = []
    for query in queries:
        if top := ranked.get(query, ())[:k]:
            shares.append(sum(doc not in labels[query] for doc in top) / len(top))
    return sum(shares) / len(shares) if shares else 0.0
