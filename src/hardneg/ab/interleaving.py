"""Team-draft interleaving: one list for both rankings, and clicks that say which of the two was preferred."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hardneg.compare import statistics
from hardneg.compare.statistics import Difference

OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Drafted:
    """An interleaved list: the documents, and which side each was drafted by."""

    docs: tuple[str, ...]
    teams: tuple[str, ...]


def team_draft(old: Sequence[str], new: Sequence[str], k: int, rng: np.random.Generator) -> Drafted:
    """Interleave the first `k` results (Radlinski, Kurup and Joachims 2008, doi:10.1145/1458082.1458092).

    The side with fewer results so far drafts its best one that is not in the list yet; a coin decides where both have
    as many. The list ends where a side that is to draft has no more.
    """
    docs: list[str] = []
    teams: list[str] = []
    taken: set[str] = set()
    rest = {OLD: iter(old), NEW: iter(new)}
    lead = 0  # how many more NEW has drafted
    while len(docs) < k:
        team = (OLD, NEW)[int(rng.integers(2))] if not lead else (NEW if lead < 0 else OLD)
        doc = next((doc for doc in rest[team] if doc not in taken), None)
        if doc is None:
            break
        docs.append(doc)
        teams.append(team)
        taken.add(doc)
        lead += 1 if team == NEW else -1
    return Drafted(tuple(docs), tuple(teams))


@dataclass(frozen=True)
class Impression:
    """One interleaved list that was shown: whose it was to count (a query or a user), and the team of every click."""

    unit: str
    clicks: tuple[str, ...]

    @property
    def score(self) -> float | None:
        """1 where NEW got more clicks, 0 where OLD did, a half for a tie; None without a click."""
        lead = sum(1 if team == NEW else -1 for team in self.clicks)
        return (np.sign(lead) + 1) / 2 if self.clicks else None


@dataclass(frozen=True)
class Interleaved:
    """The outcome: impressions won by either side, tied and without a click, and the preference for NEW."""

    source: str
    unit: str
    old: int
    new: int
    ties: int
    without_click: int
    difference: Difference


def outcome(impressions: Iterable[Impression], source: str, unit: str) -> Interleaved:
    """Count wins, and test the preference for NEW, (wins + ties / 2) / (wins + losses + ties) - 0.5, against 0.

    That is Delta_AB of Chapelle, Joachims, Radlinski and Yue 2012 (doi:10.1145/2094072.2094078). Impressions without a
    click say nothing and are not in it. Those of one query or user are one draw: the interval is cluster-robust.
    """
    units, scores, silent = [], [], 0
    for impression in impressions:
        score = impression.score
        if score is None:
            silent += 1
            continue
        units.append(impression.unit)
        scores.append(score)
    values = np.array(scores)
    if len(values):
        clusters = np.unique(units, return_inverse=True)[1]
        difference = statistics.crossed(statistics.by_cluster(values[None] - 0.5, clusters))
    else:
        difference = Difference(0.0, np.inf, 1.0, 1, 0, statistics.Components(np.nan, np.nan, np.nan))
    old, new = int((values == 0).sum()), int((values == 1).sum())
    return Interleaved(source, unit, old, new, len(values) - old - new, silent, difference)
