"""The content of an A/B report: everything that is reported about two rankings, before it is written anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hardneg.ab.clicks import logged, simulated
from hardneg.ab.effects import Effect, Pairing
from hardneg.ab.gained_lost import Changes, Move, changes, unjudged
from hardneg.ab.gate import Gate
from hardneg.ab.interleaving import Interleaved, outcome
from hardneg.ab.overlap import rbo, top_overlap
from hardneg.ab.rankings import lists, over
from hardneg.ab.relevance import Judgements
from hardneg.ab.simulated_users import USERS
from hardneg.ab.slices import each, slices
from hardneg.ab.systems import ComparedSystem
from hardneg.compare import clusters
from hardneg.errors import UserError
from hardneg.retrieval.metrics import OwnMetric, of_rankings
from hardneg.system.counts_in_words import QUERIES, counted

SHOWN_HOLES = 10  # unjudged@10, as it is reported elsewhere


@dataclass(frozen=True)
class AbPlan:
    """What is asked. The first metric is the decisive one: slices, examples and the gate use it.

    `k` are the results that a user sees: what is lost, gained, common and interleaved. `cluster` is a file of query ids
    and clusters, `cluster_positives` joins queries that share a relevant document. `user` simulates clicks on
    `impressions` interleaved lists a query (null: none), unless `clicks` names a log.

    Raises `UserError` for numbers that are too small, no metric or one twice, and an unknown user.
    """

    metrics: Sequence[str] = ("ndcg@10",)
    k: int = 10
    tie: float = 0.01
    cluster: Path | None = None
    cluster_positives: bool = False
    slices: Mapping[str, Path] | None = None
    user: str | None = "navigational"
    impressions: int = 10
    clicks: Path | None = None
    seed: int = 0
    examples: int = 10
    gate: Gate = Gate()
    own: Mapping[str, OwnMetric] = field(default_factory=dict)  # the metrics that are not ours

    def __post_init__(self) -> None:
        least_of = {"--k": (self.k, 1), "--impressions": (self.impressions, 1), "--seed": (self.seed, 0)}
        for option, (value, least) in least_of.items():
            if value < least:
                raise UserError(f"{option} {value}: must be {least} or more")
        if not self.tie >= 0 or self.examples < 0:  # also of nan
            raise UserError(f"--tie {self.tie} and --examples {self.examples} must be 0 or more")
        if not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise UserError(f"--metric {','.join(self.metrics)}: name each once, and at least one")
        if self.user is not None and self.user not in USERS:
            raise UserError(f"--click-model {self.user}: choose one of {', '.join(USERS)}, none")


@dataclass(frozen=True)
class WorsenedQuery:
    """A query that got worse, with the relevant documents that it lost and what leads its new ranking."""

    query: str
    old: float
    new: float
    lost: tuple[Move, ...]
    first: str | None


@dataclass(frozen=True)
class Report:
    """All findings about NEW against OLD. `rbo` and `common` are means over queries; `delta` has a value a query."""

    old: str
    new: str
    judged: Judgements
    plan: AbPlan
    effects: tuple[Effect, ...]
    delta: Float[np.ndarray, " Q"]
    rbo: Float[np.ndarray, " Q"]
    common: float
    unjudged: tuple[float, float]
    changes: Changes
    examples: tuple[WorsenedQuery, ...]
    slices: tuple[Effect, ...]
    interleaved: Interleaved | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def effect(self) -> Effect:
        """The difference in the metric that decides."""
        return self.effects[0]

    @property
    def passed(self) -> bool | None:
        """Whether the gate lets NEW through; None where no limit was given."""
        return not self.reasons if self.plan.gate.asked else None

    @property
    def verdict(self) -> str:
        """The conclusion at 5% about the mean: that no difference was found is no evidence that there is none."""
        if self.effect.low > 0:
            return "better"
        return "worse" if self.effect.high < 0 else "no difference shown"


def compare(old: ComparedSystem, new: ComparedSystem, judged: Judgements, plan: AbPlan) -> Report:
    """Compare two sides query by query; raises `UserError` where their rankings hold none of the judged queries."""
    ids, sides = judged.ids, (old, new)
    for side in sides:
        if not any(query in side.rankings for query in ids):
            raise UserError(
                f"{side.name} ranks none of the {counted(len(ids), *QUERIES)} with a relevant document in"
                f" {judged.name}; give the judgements that belong to it"
            )
    ranked = [over(side.rankings, ids) for side in sides]
    measured = [plan.own.get(name, name) for name in plan.metrics]
    values = [of_rankings(one, judged.labels, measured, judged.gains) for one in ranked]
    tops = [lists(one) for one in ranked]
    pairing = Pairing(judged.weights(), _clusters(judged, plan), plan.tie)
    effects = tuple(pairing.effect(name, values[0][name], values[1][name]) for name in plan.metrics)
    primary = plan.metrics[0]
    moved = changes(tops[0], tops[1], judged.relevant, plan.k)
    parts = each(slices(judged, plan.slices or {}))
    sliced = tuple(pairing.effect(name, values[0][primary], values[1][primary], here) for name, here in parts)
    both = list(zip(tops[0].values(), tops[1].values(), strict=True))
    return Report(
        old.name,
        new.name,
        judged,
        plan,
        effects,
        values[1][primary] - values[0][primary],
        np.array([rbo(*pair) for pair in both]),
        float(np.mean([top_overlap(*pair, plan.k) for pair in both])),
        (unjudged(tops[0], judged.labels, ids, SHOWN_HOLES), unjudged(tops[1], judged.labels, ids, SHOWN_HOLES)),
        moved,
        tuple(_examples(ids, values[0][primary], values[1][primary], moved, tops[1], plan.examples)),
        sliced,
        _interleaved(tops[0], tops[1], judged, plan),
        tuple(plan.gate.reasons(effects[0], moved, sliced)),
        tuple(_notes(sides, judged, plan, sliced)),
    )


def _clusters(judged: Judgements, plan: AbPlan) -> np.ndarray | None:
    if plan.cluster is not None:
        return clusters.numbered(clusters.read(plan.cluster), np.array(judged.ids), plan.cluster)
    return judged.sharing_positives() if plan.cluster_positives else None


def _examples(
    ids: Sequence[str],
    old: Float[np.ndarray, " Q"],
    new: Float[np.ndarray, " Q"],
    moved: Changes,
    tops: Mapping[str, Sequence[str]],
    most: int,
) -> Iterator[WorsenedQuery]:
    """The queries that lost a relevant document, those with the largest fall first."""
    lost: dict[str, list[Move]] = {}
    for move in moved.lost:
        lost.setdefault(move.query, []).append(move)
    place = {query: row for row, query in enumerate(ids)}
    worst = sorted(lost, key=lambda query: (new[place[query]] - old[place[query]], query))
    for query in worst[:most]:
        row = place[query]
        yield WorsenedQuery(query, float(old[row]), float(new[row]), tuple(lost[query]), next(iter(tops[query]), None))


def _interleaved(
    old: Mapping[str, list[str]], new: Mapping[str, list[str]], judged: Judgements, plan: AbPlan
) -> Interleaved | None:
    if plan.clicks is not None:
        unit, impressions = logged(plan.clicks)
        return outcome(impressions, f"clicks logged in {plan.clicks.name}", unit)
    if plan.user is None:
        return None
    shown = simulated(old, new, judged.labels, judged.ids, USERS[plan.user], plan.k, plan.impressions, plan.seed)
    return outcome(shown, f"simulated: a {plan.user} user, {plan.impressions} lists a query", "query")


def _notes(
    sides: Sequence[ComparedSystem], judged: Judgements, plan: AbPlan, sliced: Sequence[Effect]
) -> Iterator[str]:
    """Notes that keep readers from reading more into the numbers than they say."""
    yield (
        "One run of each: the intervals speak of other queries, not of other seeds. A second training of the same model"
        " may differ by as much; hardneg compare tests over seeds."
    )
    for side in sides:
        if missing := sum(not side.rankings.get(query) for query in judged.ids):
            yield f"{side.name} finds nothing for {missing:,} of {counted(len(judged.ids), *QUERIES)}; counted as 0."
        if more := len(side.rankings.keys() - judged.relevant.keys()):
            yield f"{side.name} ranks {counted(more, *QUERIES)} without a relevant document in {judged.name}; left out."
    if judged.only_relevant:
        yield (
            "The judgements name relevant documents only: all else counts as unjudged here, and some of it may be"
            " relevant. Look at the queries that lost most before you trust a small difference."
        )
    if not judged.queries:
        yield "Without texts there are no slices by length or words; give --queries and --corpus, or data=...."
    if sliced:
        yield "Slices are exploratory: their intervals are not corrected for their number."
    small = [one.name for one in sliced if one.queries < plan.gate.least]
    if small and plan.gate.slice is not None:
        yield f"Not gated, for they have fewer than {plan.gate.least} queries: {'; '.join(small)}."
