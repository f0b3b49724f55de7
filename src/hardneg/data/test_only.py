"""Data that are given for testing alone: all test where they have no splits, in the columns of the run's own data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from hardneg.data.held_out import TRAIN, HoldsOut
from hardneg.data.mix import Mix
from hardneg.data.open_set import Readable, open_set
from hardneg.data.readers.columns import chosen
from hardneg.data.readers.table import Table
from hardneg.data.tables import RetrievalData
from hardneg.errors import DataError

log = logging.getLogger(__name__)

Place = tuple[Path, str | None, str]

TEST = "test"
CHOICES = ("dev_share", "test_share", "split_seed")  # who gives one of these says himself what is held out


@dataclass(frozen=True)
class Own:
    """What a run was trained on, as far as a set beside it goes by that: the places, and the columns by role.

    A place is a file or folder, or a set on the hub, with its config or subset, and its split; for each it is known
    what was held out there (the settings in `CHOICES`).
    """

    places: Mapping[Place, Mapping[str, Any]] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Own:
        """Read it from a config's plain `data`, one set or a mixture."""
        sets = [node, *(node.get("sets") or {}).values()]
        places = {
            place: {key: one[key] for key in CHOICES if one.get(key) is not None}
            for one in sets
            if (place := _place(one))
        }
        return cls(places, chosen(node.get("columns")))


def says_splits(node: Mapping[str, Any], words: Iterable[str], prefix: str) -> bool:
    """Whether a user chose what is held out: by the keys of an entry, or by words (keys of the command line)."""
    if "_target_" not in node:
        return any(key in node for key in (*CHOICES, TEST))
    return TEST in node or any(f"{prefix}.{key}" in words for key in CHOICES)


def open_for_testing(
    recipe: Readable, cache: Path, own: Own, said: bool, key: str, given: Collection[str] = ()
) -> RetrievalData:
    """Return a set to test on; one without splits is all `test`, unless the user `said` what is held out.

    So is each set of a mixture, but those of which the keys of the command line that were `given` say it. What the run
    was trained on keeps its splits, by the run's own shares and seed: its training queries are no test. `key` is where
    the config has the set, such as evaluate.also.faq.

    Raises `DataError` and `ConfigError` as reading does, with the keys of that place.
    """
    if isinstance(recipe, Mix):
        if not said:
            sets = recipe.sets.items()
            recipe = replace(recipe, sets={name: _of_mix(one, own, f"{key}.sets.{name}", given) for name, one in sets})
        return open_set(recipe, cache)
    recipe = _as_tested(recipe, own, said, key)
    try:
        if isinstance(recipe, OnlyTested):
            return recipe.read(lambda one: open_set(one, cache))
        return open_set(recipe, cache)
    except DataError as error:
        raise DataError(str(error).replace("data.columns", f"{key}.columns")) from error


@dataclass(frozen=True)
class OnlyTested:
    """A set that nothing was trained on: all `test` where it has no splits."""

    recipe: Any

    def load(self) -> RetrievalData:
        """Read the set; raises what that raises."""
        return self.read(lambda one: one.load())

    def read(self, how: Callable[[Readable], RetrievalData]) -> RetrievalData:
        """Read the set, with no query held out first: that tells whether it has splits."""
        whole = how(replace(self.recipe, dev_share=0, test_share=0))
        return all_test(whole) if set(whole.qrels) == {TRAIN} else how(self.recipe)


def _of_mix(recipe: Any, own: Own, key: str, given: Collection[str]) -> Any:
    """One set of a mixture as it is tested on."""
    return _as_tested(recipe, own, any(f"{key}.{choice}" in given for choice in CHOICES), key)


def _as_tested(recipe: Any, own: Own, said: bool, key: str) -> Any:
    """A set with the run's columns, and the splits that it had when it was trained on, else as one only tested on."""
    recipe = _with_columns(recipe, own, key)
    if said or not _holds_out_unasked(recipe):
        return recipe
    held_out = own.places.get(_place(vars(recipe)))  # type: ignore[arg-type]
    return OnlyTested(recipe) if held_out is None else replace(recipe, **held_out)


def all_test(data: RetrievalData) -> RetrievalData:
    """Call the one split of a set test, and say how many queries that are."""
    judged = data.qrels[TRAIN]
    log.info("%s has no splits: all its %d queries are tested", data.name, len(judged.query_rows))
    return replace(data, qrels={TEST: judged})


def _holds_out_unasked(recipe: Any) -> bool:
    """Whether a reader takes a share for test that nobody asked for: its default."""
    if not isinstance(recipe, HoldsOut):
        return False
    usual = {one.name: one.default for one in fields(recipe)}  # type: ignore[arg-type]
    return usual["test_share"] not in (0, 0.0) and all(getattr(recipe, key) == usual[key] for key in CHOICES)


def _with_columns(recipe: Any, own: Own, key: str) -> Any:
    """Give a table that names no columns those of the run's own data, where it has them."""
    if not isinstance(recipe, Table) or not own.columns or chosen(recipe.columns) or not Path(recipe.path).exists():
        return recipe
    pair = {role: own.columns[role] for role in ("query", "positive")}
    for columns in (dict(own.columns), pair):  # a set to test on may have no negatives
        taken = replace(recipe, columns=columns)
        if taken.reads():
            said = ", ".join(f"{role}: {name}" for role, name in columns.items())
            log.info("%s: columns as in the run's own data: {%s} (%s.columns=... names others)", recipe.path, said, key)
            return taken
    return recipe


def _place(settings: Mapping[str, Any]) -> Place | None:
    """Where the data of a reader with these settings lie; None for one without a place, such as generated data."""
    where = settings.get("path") or settings.get("repo")
    if not where:
        return None
    part = settings.get("config") or settings.get("subset")  # of NanoBEIR a list
    return Path(str(where)).expanduser().resolve(), part and str(part), settings.get("split") or TRAIN
