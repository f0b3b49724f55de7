"""When mining goes wrong: the rules, apart from who measures and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from hardneg.errors import ConfigError


@dataclass(frozen=True)
class Alarm:
    """Something to look at: `name` is part of a metric's key, `text` says what, how much and what to do."""

    name: str
    text: str


@dataclass(frozen=True)
class Thresholds:
    """When to raise an alarm; null switches a rule off.

    `hit_rate`: fewer of the mined were kept (below a tenth the filters are too aggressive; a rule of thumb without a
    source). `queries_short`: a larger share of queries has fewer than k kept. `p`: a change for the worse (of dev
    metrics, paired by query, or of the loss of hard negatives within a round) would be that unlikely by chance.
    `samples`: negatives listed in the audit that follows a drop.
    """

    hit_rate: float | None = 0.1
    queries_short: float | None = 0.5
    p: float | None = 0.05
    samples: int = 20

    def __post_init__(self) -> None:
        for key in ("hit_rate", "queries_short", "p"):
            value = getattr(self, key)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"alarms.{key} is a share between 0 and 1 or null, got {value}")


def of_lists(source: str, numbers: Mapping[str, float], at: Thresholds) -> list[Alarm]:
    """Judge a source's lists by their health (see `mining.health`)."""
    found = []
    if at.hit_rate is not None and numbers["hit_rate"] < at.hit_rate:
        why = "the filters are too strict for this miner's scores, or the miner too weak for them"
        if (positive := numbers.get("relabelled", 0.0)) > (1 - numbers["hit_rate"]) / 2:
            why = f"the teacher takes {positive:.1%} for positives, so raise negatives.{source}.relabel"
        found.append(Alarm("hit_rate", f"only {numbers['hit_rate']:.1%} of the mined documents were kept: {why}"))
    if at.queries_short is not None and numbers["queries_short"] > at.queries_short:
        text = f"{numbers['queries_short']:.1%} of the queries have fewer negatives left than negatives.{source}.k"
        mend = f"raise negatives.{source}.depth, loosen the filters or, in training, warm up (remine.warmup_epochs)"
        found.append(Alarm("queries_short", f"{text}: {mend}"))
    return found


def of_metric(
    name: str, before: Float[np.ndarray, " Q"], after: Float[np.ndarray, " Q"], at: Thresholds
) -> list[Alarm]:
    """Judge a metric's change since the round began, by a paired t-test over queries, one-sided."""
    change = after - before
    if at.p is None or len(change) < 2 or change.mean() >= 0:
        return []
    p = 0.0 if change.std() == 0 else float(stats.ttest_1samp(change, 0, alternative="less").pvalue)
    if p >= at.p:
        return []
    text = f"dev {name} fell by {-change.mean():.4f} (p = {p:.2g}, {len(change)} queries) since this round was mined"
    return [Alarm("drop", f"{text}: look for false negatives in the audit")]


def of_loss(losses: Sequence[float], at: Thresholds) -> list[Alarm]:
    """Judge the loss of a source's negatives over a round: its last third against its first."""
    third = len(losses) // 3
    if at.p is None or third < 3:
        return []
    first, last = np.array(losses[:third]), np.array(losses[-third:])
    if last.mean() <= first.mean() or stats.mannwhitneyu(last, first, alternative="greater").pvalue >= at.p:
        return []
    text = f"the loss of these negatives rose from {first.mean():.3f} to {last.mean():.3f} within the round"
    return [Alarm("loss", f"{text}: they may be false, or the learning rate too high")]


def fall(losses: Sequence[float]) -> float:
    """By which share the loss changed over a round, last third against first; NaN with too few values."""
    third = len(losses) // 3
    if not third:
        return float("nan")
    first = float(np.mean(losses[:third]))
    return (float(np.mean(losses[-third:])) - first) / first if first else float("nan")
