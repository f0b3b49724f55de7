"""The test sets of a run: splits of its own data, and other data sets, each with a retriever or reranker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.config.composition import keys_given
from hardneg.data.other_sets import others, splits_of
from hardneg.data.tables import RetrievalData
from hardneg.data.test_only import Own, open_for_testing, says_splits
from hardneg.errors import ConfigError, DataError
from hardneg.retrieval.metrics import QueryRankings
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.retriever import Retriever
from hardneg.system import agreement

Ranks = Retriever | Reranker


@dataclass(frozen=True)
class OtherSet:
    """A data set that is only tested on."""

    name: str
    data: RetrievalData
    split: str


@dataclass(frozen=True)
class TestSet:
    """Queries to test on: a split of a data set, and what ranks that set's documents for them."""

    __test__ = False  # no test class of pytest's

    name: str
    retriever: Ranks
    split: str

    @property
    def data(self) -> RetrievalData:
        """The data set of the queries."""
        return self.retriever.data


def load_others(
    cfg: DictConfig, data: RetrievalData, splits: Sequence[str], own: Own | None = None, begun: bool = False
) -> list[OtherSet]:
    """Load the sets of `evaluate.also`, before anything expensive; `own` is what was trained on, if not `cfg.data`.

    Every rank asks, and all must have read the same. Raises `ConfigError` for a name that one of the run's own test
    sets has (of a mix, in a run that was not `begun` before: that keeps the names it has), `DataError` for a set that
    cannot be read, or without its split.
    """
    taken = own_names(data, splits, several=True)
    if "" in taken and not begun:
        # Results go by the names of the sets in one, and the ranking by that of the whole.
        taken = [data.name, *(part.name for part in data.mixed)]
    found, also, words = [], classes.plain(cfg.evaluate.get("also")), keys_given()
    own = own or Own.of(classes.plain(cfg.data))
    for name, (node, split) in others(also, str(cfg.cache)).items():
        if name in taken:
            raise ConfigError(f"evaluate.also.{name}: the run's own test set is called {name} too; choose another name")
        try:
            key = f"evaluate.also.{name}"
            said = says_splits(also[name], words, key)
            loaded = open_for_testing(classes.build(node), Path(cfg.cache), own, said, key, words)
            loaded.split(split)
        except (ConfigError, DataError) as error:
            raise type(error)(f"evaluate.also.{name}: {error}") from error
        found.append(OtherSet(name, loaded, split))
    if found:
        agreement.agree("the data of evaluate.also", [one.data.fingerprint(one.split) for one in found])
    return found


def own_names(data: RetrievalData, splits: Sequence[str], several: bool) -> list[str]:
    """Name the test sets of the run's own data: by split where there are several, else by the data; one alone has none.

    With several data sets in one, a single split goes by their own names, which "" leaves as they are.
    """
    if len(splits) > 1:
        return list(splits)
    return ["" if data.mixed or not several else data.name for _ in splits]


def test_sets(
    own: Ranks, test: Any, also: Sequence[OtherSet], retriever_of: Callable[[RetrievalData], Ranks]
) -> list[TestSet]:
    """Put the run's own splits (`test`, as of split.test) and other sets side by side, each with its `retriever_of`."""
    splits = splits_of(test)
    names = own_names(own.data, splits, several=len(splits) + len(also) > 1)
    found = [TestSet(name, own, split) for name, split in zip(names, splits, strict=True)]
    return found + [TestSet(one.name, retriever_of(one.data), one.split) for one in also]


def nested_runs(sets: Sequence[TestSet], ranker: Any, depth: int) -> list[dict[str, QueryRankings]]:
    """Rank for each set, at each width of the ranker (see `Retriever.nested`); a corpus is embedded once for all."""
    by_data: dict[int, list[TestSet]] = {}
    for one in sets:
        by_data.setdefault(id(one.retriever), []).append(one)
    found: dict[tuple[int, str], dict[str, QueryRankings]] = {}
    for key, some in by_data.items():
        for split, runs in some[0].retriever.nested(ranker, [one.split for one in some], depth).items():
            found[key, split] = runs
    return [found[id(one.retriever), one.split] for one in sets]


def leave_out(cfg: DictConfig, data: RetrievalData) -> str | None:
    """The split that another set's rankings leave out: that of `evaluate.leave_out`, if it has one of that name."""
    split: str | None = cfg.evaluate.get("leave_out")
    return split if split in data.qrels else None


def check_left_out(cfg: Any, data: RetrievalData) -> None:
    """Raise `ConfigError` where rankings are to leave out a split that the data do not have: now, not after mining."""
    split = cfg["evaluate"].get("leave_out")
    if split is not None and split not in data.qrels:
        there = ", ".join(sorted(data.qrels))
        raise ConfigError(f"evaluate.leave_out={split}: data {data.name!r} have no such split; they have {there}")


def fingerprints(sets: Sequence[TestSet]) -> str | dict[str, str] | None:
    """What a run was tested on, for `hardneg compare`: a fingerprint, or those of several sets by name."""
    if len(sets) < 2:
        return sets[0].data.fingerprint(sets[0].split) if sets else None
    return {one.name or one.data.name: one.data.fingerprint(one.split) for one in sets}
