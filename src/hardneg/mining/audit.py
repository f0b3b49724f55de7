"""Looking at what was mined: the kept negatives most likely to be false, and samples for people to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardneg.data.training_set import TrainingSet
from hardneg.mining.health import BLOCK, pool_of
from hardneg.mining.store import Store
from hardneg.system.one_line import one_line

WIDTH = 300  # characters of a text


@dataclass(frozen=True)
class SuspiciousNegative:
    """A kept negative beside its query and a positive of it.

    `positive_score` is that of the query's lowest known positive, `positives` how many it has; the text is that of the
    first.
    """

    query: str
    positive: str
    negative: str
    query_id: str
    negative_id: str
    rank: int
    score: float
    positive_score: float
    positives: int


def suspicious(store: Store, training: TrainingSet, pool: int, n: int) -> list[SuspiciousNegative]:
    """Return the `n` drawable negatives that lead their query's positive by most: the likeliest false ones."""
    best: list[tuple[float, int, int]] = []
    for start in range(0, len(store.ids), BLOCK):
        rows = slice(start, start + BLOCK)
        lead = store.scores[rows] - store.positive[rows, None]
        places = np.argwhere(pool_of(store, rows, pool) & np.isfinite(lead))
        leads = lead[tuple(places.T)]
        if (edge := len(leads) - max(n, 1)) > 0:  # most lead by too little to be among the `n`: only the rest is sorted
            places = places[leads >= np.partition(leads, edge)[edge]]
        best += [(float(lead[q, c]), start + q, c) for q, c in places[::-1].tolist()]
    best.sort(key=lambda found: -found[0])
    return [_finding(store, training, query, column) for _, query, column in best[:n]]


def hardest(store: Store, training: TrainingSet, pool: int, n: int) -> list[SuspiciousNegative]:
    """Return the first kept negative of `n` queries taken at random."""
    found: list[SuspiciousNegative] = []
    for query in np.random.default_rng(0).permutation(np.flatnonzero(store.mined)):
        if len(found) == n:
            break
        drawn = np.flatnonzero(pool_of(store, slice(query, query + 1), pool)[0])
        if len(drawn):
            found.append(_finding(store, training, int(query), int(drawn[0])))
    return found


def _finding(store: Store, training: TrainingSet, query: int, column: int) -> SuspiciousNegative:
    data, negative = training.data, int(store.ids[query, column])
    return SuspiciousNegative(
        query=data.queries[query],
        positive=data.corpus[int(training.positives[query][0])],
        negative=data.corpus[negative],
        query_id=data.queries.ids[query].as_py(),
        negative_id=data.corpus.ids[negative].as_py(),
        rank=column,
        score=float(store.scores[query, column]),
        positive_score=float(store.positive[query]),
        positives=len(training.known[query]),
    )


def as_markdown(title: str, findings: list[SuspiciousNegative]) -> str:
    """Write findings for people to read, texts cut to 300 characters."""
    lines = [f"## {title}", ""]
    for number, found in enumerate(findings, start=1):
        query, positive, negative = (one_line(text, WIDTH) for text in (found.query, found.positive, found.negative))
        lowest = "" if found.positives == 1 else f"one of {found.positives}; the lowest: "
        lines += [
            f"{number}. **{query}**  ",
            f"   positive ({lowest}{found.positive_score:.3f}): {positive}  ",
            f"   negative {found.negative_id} (rank {found.rank}, {found.score:.3f}): {negative}",
        ]
    return "\n".join([*lines, "" if findings else "none", ""])
