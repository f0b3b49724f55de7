"""The rules one after the other: which pairs are kept, and which rule dropped each of the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int8

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.pairs.base import PairFilter, Pairs
from hardneg.pairs.measures import measured
from hardneg.system import agreement
from hardneg.system.cache import built_together, fingerprint
from hardneg.system.memory_map import Mapped
from hardneg.system.own_code import with_code_of

EXAMPLES = 10  # dropped pairs that a report shows, of all rules in turn
CARD = "card.json"
KEPT = 0


@dataclass(frozen=True)
class Selection:
    """A folder of the cache: `reasons.npy` says of each labelled pair, in order, which rule dropped it; 0 is kept.

    `card.json` holds the rules' names in the order of their numbers, the settings of each, and some dropped pairs.
    """

    folder: Path

    @cached_property
    def reasons(self) -> Int8[np.ndarray, " n"]:
        """0 where the pair is kept, else the number of the first rule that dropped it, from 1 on."""
        return Mapped(self.folder / "reasons.npy").array

    @cached_property
    def card(self) -> dict[str, Any]:
        """The rules, and some of the pairs that they dropped."""
        return json.loads((self.folder / CARD).read_text("utf-8"))

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs each rule dropped, and how many are kept."""
        names = ["kept", *self.card["rules"]]
        return dict(zip(names, np.bincount(self.reasons, minlength=len(names)).tolist(), strict=True))

    @property
    def kept(self) -> Bool[np.ndarray, " n"]:
        """The pairs that are trained on."""
        return self.reasons == KEPT


def select(rules: Mapping[str, PairFilter], training: TrainingSet, cache: Path, device: str = "auto") -> Selection:
    """Apply the rules in their order, each to what those before it kept; an earlier selection is reused.

    Of several processes that ask together one works and the others wait; ranks share the work. Raises `DataError` where
    no pair is left; `ConfigError` for more than 127 rules.
    """
    if len(rules) > 127:
        raise ConfigError(f"pairs names {len(rules)} rules; 127 can be told apart")
    for rule in rules.values():
        rule.ready(training.data, cache, device)
    settings = {
        name: with_code_of(rule, {"measure": rule.measured_by(), **rule.limits()}) for name, rule in rules.items()
    }
    name = fingerprint([list(rules), settings, training.fingerprint])

    def build(unfinished: Path | None) -> None:
        reasons, examples = _judged(rules, Pairs.of(training), cache)
        if unfinished is not None:
            np.save(unfinished / "reasons.npy", reasons)
            card = {"rules": list(rules), "settings": settings, "training": training.fingerprint, "examples": examples}
            (unfinished / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False), "utf-8")

    selection = Selection(built_together(cache / "pairs" / name, build))
    for rule in rules.values():
        rule.put_away()
    agreement.agree("the pairs that are trained on", selection.counts)
    if not selection.counts["kept"]:
        dropped = ", ".join(f"{rule} {count}" for rule, count in selection.counts.items() if rule != "kept")
        raise DataError(f"pairs=[{','.join(rules)}] leaves no pair of {training.data.name} to train on ({dropped})")
    return selection


def selected(training: TrainingSet, selection: Selection) -> TrainingSet:
    """Return the training set with the kept pairs alone."""
    return replace(training, kept=selection.kept)


def _judged(
    rules: Mapping[str, PairFilter], pairs: Pairs, cache: Path
) -> tuple[Int8[np.ndarray, " n"], list[dict[str, str]]]:
    """Return each pair's reason, and some dropped pairs with their measures, of all rules in turn."""
    reasons = np.zeros(len(pairs), np.int8)
    shown: list[list[dict[str, str]]] = []
    for number, (name, rule) in enumerate(rules.items(), start=1):
        left = np.flatnonzero(reasons == KEPT)
        if not len(left):
            break  # the others have nothing to measure
        values = measured(name, rule, pairs.take(left), cache)
        out = np.flatnonzero(~rule.keep(values))
        reasons[left[out]] = number
        some = out[np.linspace(0, len(out) - 1, min(EXAMPLES, len(out)), dtype=np.int64)]
        shown.append(_described(name, rule, pairs.take(left[some]), values[some]))
    turns = max(map(len, shown), default=0)
    return reasons, [rows[turn] for turn in range(turns) for rows in shown if turn < len(rows)][:EXAMPLES]


def _described(name: str, rule: PairFilter, pairs: Pairs, values: np.ndarray) -> list[dict[str, str]]:
    ids = zip(pairs.queries.tolist(), pairs.docs.tolist(), strict=True)
    queries, docs = pairs.data.queries, pairs.data.corpus
    return [
        {
            "dropped_by": name,
            "measured": rule.told(row),
            "query_id": queries.ids[query].as_py(),
            "document_id": docs.ids[doc].as_py(),
            "query": queries[query],
            "document": docs[doc],
        }
        for (query, doc), row in zip(ids, values, strict=True)
    ]
