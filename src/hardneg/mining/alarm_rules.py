"""When mining goes wrong: the rules alone; others measure, and others tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from hardneg.errors import ConfigError
from hardneg.system.counts_in_words import QUERIES, counted

COSINES = 5  # logged values that must all be too high
WEAK = (
    "so look whether its model ranks at all (train/random_cosine, optimizer.lr, the checkpoint it was loaded from), or"
    " warm it up (remine.warmup_epochs)"
)  # advice on a miner that is weak


@dataclass(frozen=True)
class Alarm:
    """Something to look at: `name` is part of a metric's key, `text` says what, how much and what to do."""

    name: str
    text: str


@dataclass(frozen=True)
class Thresholds:
    """When to raise an alarm; null switches a rule off.

    `kept`: the filters kept fewer of the mined (below a tenth they are too aggressive; a rule of thumb without a
    source). `queries_short`: a larger share of queries has fewer than k kept. `recall`: the miner has fewer of the
    known positives among its first documents. `bm25_queries`: training queries on which its recall is compared with
    BM25's. `random_cosine`: the mean cosine of random queries, or of random documents, is higher. `p`: a change for the
    worse (of dev metrics, paired by query, or of the loss of hard negatives within a round), or a lead of BM25, would
    be that unlikely by chance. `samples`: negatives listed in the audit that follows a drop.

    Of the last third of the training: `idle`: drawn negatives had a smaller share of the loss; `above_positive`: a
    larger share of them scored above the positive. Both are rules of thumb.

    Raises `ConfigError` for what is neither a share nor null.
    """

    kept: float | None = 0.1
    queries_short: float | None = 0.5
    recall: float | None = 0.1
    bm25_queries: int | None = 1000
    random_cosine: float | None = 0.95
    p: float | None = 0.05
    samples: int = 20
    idle: float | None = 0.05
    above_positive: float | None = 0.3

    def __post_init__(self) -> None:
        for key in ("kept", "queries_short", "recall", "random_cosine", "p", "idle", "above_positive"):
            value = getattr(self, key)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"alarms.{key} is a share between 0 and 1 or null, got {value}")
        if (asked := self.bm25_queries) is not None and (not isinstance(asked, int) or asked < 2):
            raise ConfigError(f"alarms.bm25_queries is a number of queries, 2 or more, or null, got {asked}")


def of_lists(source: str, numbers: Mapping[str, float], at: Thresholds) -> list[Alarm]:
    """Judge a source's lists by their health (see `mining.health`)."""
    found = []
    nothing = numbers.get("nothing_found", 0.0)
    if at.kept is not None and nothing < 1 and numbers["kept"] < at.kept:
        why = "the filters are too strict for this miner's scores, or the miner too weak for them"
        if (positive := numbers.get("relabelled", 0.0)) > (1 - numbers["kept"]) / 2:
            why = f"the teacher takes {positive:.1%} for positives, so raise negatives.{source}.relabel"
        found.append(Alarm("kept", f"only {numbers['kept']:.1%} of the mined documents were kept: {why}"))
    if at.queries_short is not None and nothing > at.queries_short:
        text = f"the miner found no document at all for {nothing:.1%} of the queries, and no filter had a part in it"
        mend = f"they share no token with any, so look at how texts are cut (negatives.{source}.miner.tokens)"
        found.append(Alarm("nothing_found", f"{text}. Of BM25: {mend}"))
    elif at.queries_short is not None and numbers["queries_short"] > at.queries_short:
        text = f"{numbers['queries_short']:.1%} of the queries have fewer negatives left than negatives.{source}.k"
        mend = f"raise negatives.{source}.depth, loosen the filters or, in training, warm up (remine.warmup_epochs)"
        found.append(Alarm("queries_short", f"{text}: {mend}"))
    # Where nothing is found an alarm has named the cause already.
    if at.recall is not None and nothing <= (at.queries_short or 1) and numbers.get("recall", 1.0) < at.recall:
        share = f"only {numbers['recall']:.1%} of the known positives"
        text = f"the miner has {share} among its first negatives.{source}.depth documents"
        found.append(Alarm("recall", f"{text}: what it lists is not what is hard, {WEAK}"))
    return found


def beside_bm25(miner: Float[np.ndarray, " Q"], bm25: Float[np.ndarray, " Q"], at: Thresholds) -> list[Alarm]:
    """Judge a miner's recall of known positives beside BM25's, by a paired t-test over queries, one-sided."""
    if at.p is None or _p_of_fall(bm25, miner) >= at.p:
        return []
    asked = counted(len(bm25), *QUERIES)
    # a mean over queries, which the round's recall, of all positives together, need not equal
    text = f"the miner finds {miner.mean():.1%} of a query's known positives, BM25 {bm25.mean():.1%} (mean of {asked})"
    return [Alarm("worse_than_bm25", f"{text}: BM25's negatives are harder than these, {WEAK}")]


def of_embeddings(of: str, cosines: Sequence[float], at: Thresholds) -> list[Alarm]:
    """Judge the mean cosine of random pairs by its last values: a single high one may be the start of training.

    NaN, of batches without a pair, is not high.
    """
    last, limit = cosines[-COSINES:], at.random_cosine
    if limit is None or len(last) < COSINES or not all(value > limit for value in last):
        return []
    text = f"the mean cosine of random {of} is {last[-1]:.3f}: the model embeds everything alike"
    mend = "lower optimizer.lr or warm it up, and look at loss.temperature and pooling"
    return [Alarm("collapse", f"{text}, so that scores hardly tell documents apart; {mend}")]


def of_metric(
    name: str, before: Float[np.ndarray, " Q"], after: Float[np.ndarray, " Q"], at: Thresholds
) -> list[Alarm]:
    """Judge a metric's change since the round began, by a paired t-test over queries, one-sided."""
    change = after - before
    if at.p is None or (p := _p_of_fall(before, after)) >= at.p:
        return []
    asked = counted(len(change), *QUERIES)
    text = f"dev {name} fell by {-change.mean():.4f} (p = {p:.2g}, {asked}) since this round was mined"
    return [Alarm("drop", f"{text}: look for false negatives in the audit")]


def _p_of_fall(before: Float[np.ndarray, " Q"], after: Float[np.ndarray, " Q"]) -> float:
    """How likely so low a mean of `after` would be by chance; 1 where it is not lower."""
    change = after - before
    if len(change) < 2 or change.mean() >= 0:
        return 1.0
    return 0.0 if change.std() == 0 else float(stats.ttest_1samp(change, 0, alternative="less").pvalue)


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
    """The relative change of the loss over a round, last third against first; NaN with too few values."""
    third = len(losses) // 3
    if not third:
        return float("nan")
    first = float(np.mean(losses[:third]))
    return (float(np.mean(losses[-third:])) - first) / first if first else float("nan")


NEAREST = "always draw the nearest (negatives.{source}.sampling=top), "
IDLE = {  # by the origin of a source, what to do where its negatives are idle
    "following": "they are too easy, or learnt: {nearest}mine again sooner (remine), or leave them out",
    "listed": "they are too easy, or learnt: {nearest}take those that the model in training mines (strategy=mined"
    " without another miner), or leave them out",
    "given": "they are too easy, or learnt: take mined ones beside them (negatives=[in_batch,given,mined]), or leave"
    " them out",
    "random": "random documents are easy: take nearer ones (strategy=bm25 or strategy=mined), or none",
    "other": "they are too easy, or learnt: take nearer ones, or none",
}
OF_LISTS = (  # the whole list of filters, so that the words work, and change something, with and without strategy=mined
    "filter the mined lists by a larger margin, as with filter=[known_positives,relative_margin]"
    " filter.relative_margin.margin=0.1 (0.05 unless set)"
)
OF_BATCHES = (
    "have another encoder judge them, as with filter=[known_positives,guide] +encoder@filter.guide.encoder=minilm"
)
OF_FALSE_ONES = {"following": OF_LISTS, "listed": OF_LISTS}  # the advice by origin; else OF_BATCHES


def in_words(numbers: Mapping[str, float]) -> str:
    """Say what a source's drawn negatives did, by the numbers that `at_the_end` judges.

    `loss_share` is NaN, or not there, where the loss cannot be split by source.
    """
    share = numbers.get("loss_share", math.nan)
    of_loss = "" if math.isnan(share) else f"{share:.0%} of the loss, "
    return f"{of_loss}{numbers['above_positive']:.0%} of its negatives above their positive"


def at_the_end(
    source: str, numbers: Mapping[str, float], at: Thresholds, origin: str = "other", nearest: bool = False
) -> list[Alarm]:
    """Judge a source's drawn negatives by their `loss_share` and `above_positive` in the last third of the training.

    A number that is NaN or missing raises nothing. The advice depends on the `origin` of the source: `listed` (mined
    lists), `following` (lists that are mined again), `given`, `random`, or any other; and on whether it draws the
    `nearest` documents.
    """
    found = []
    share, above = numbers.get("loss_share", math.nan), numbers.get("above_positive", math.nan)
    if at.idle is not None and share < at.idle:
        text = f"its negatives were idle: {share:.1%} of the loss over the last third of the training"
        mend = IDLE.get(origin, IDLE["other"]).format(nearest="" if nearest else NEAREST.format(source=source))
        found.append(Alarm("idle", f"{text}; {mend}"))
    if at.above_positive is not None and above > at.above_positive:
        text = f"{above:.1%} of its negatives scored above their positive over the last third of the training"
        mend = f"many may be false: look at some of them, and {OF_FALSE_ONES.get(origin, OF_BATCHES)}"
        found.append(Alarm("above_positive", f"{text}; {mend}"))
    return found


def best_before(name: str, history: Sequence[Mapping[str, int | float]], first: int) -> list[Alarm]:
    """Judge dev's curve in `name` where the first round of mined negatives came at step `first` of a training."""
    points = [(point["step"], point[name]) for point in history if name in point and point["step"] > 0]
    if first <= 0 or not points or points[-1][0] <= first:
        return []
    step, best = max(points, key=lambda point: point[1])
    if step > first or best <= points[-1][1]:
        return []
    text = (
        f"{name} was best, {best:.4f}, at step {step}, before the first of these negatives, and {points[-1][1]:.4f} at"
    )
    return [Alarm("best_before", f"{text} the end: they did not help here")]
