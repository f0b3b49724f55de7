"""Several data sets as one, each with its own documents, and with its own prompts where it wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from hardneg.data.pair_scores import PairScores
from hardneg.data.parts import Part
from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import ConfigError

SIDES = ("query", "document")
BATCHES = ("same_set", "blended")


@dataclass(frozen=True)
class Mix:
    """Join the data sets `sets` (name -> recipe) into one; ids become `<set>/<id>`, splits are merged by name.

    Each batch is of one set, and an epoch takes batches in proportion to the sets' sizes to the power of `temper`: 1 is
    proportional, 0.5 favours small sets (both in GTE, arXiv:2308.03281), 0 takes equally many of each. With `batches`
    "blended" the same rows come in any order, several sets in a batch (NV-Embed, arXiv:2405.17428, second stage). `k`
    (set -> source -> number) replaces the sources' own number of negatives. `prompts` (set -> `query`, `document`),
    such as a task's instruction (E5-Mistral, arXiv:2401.00368), replace the encoder's own. `name` is what results are
    filed under (null: the sets' names).

    Raises `ConfigError` for no set, a name that cannot be part of an id, a temper outside 0 to 1, and prompts for
    unknown sets or sides.
    """

    sets: Mapping[str, Any] = field(default_factory=dict)
    temper: float = 1.0
    prompts: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    batches: str = "same_set"
    k: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sets:
            raise ConfigError(
                "data.sets is empty; name data sets and give each its kind, as in +data@data.sets.code=beir"
                " data.sets.code.path=DIR +data@data.sets.faq=jsonl data.sets.faq.path=FILE"
            )
        for name, recipe in self.sets.items():
            if not re.fullmatch(r"\w[\w-]*", str(name)):
                raise ConfigError(f"data.sets: {name!r} cannot be part of an id; use letters, digits, _ and - only")
            if isinstance(recipe, Mix) or not hasattr(recipe, "load"):
                raise ConfigError(f"data.sets.{name} is a {type(recipe).__name__}, not a data set of its own")
        if not 0 <= self.temper <= 1:
            raise ConfigError(f"data.temper={self.temper} must be from 0 (equally many) to 1 (proportional)")
        self._check_own()

    def _check_own(self) -> None:
        """Raise `ConfigError` for impossible settings of single sets."""
        if self.batches not in BATCHES:
            raise ConfigError(f"data.batches={self.batches!r} must be one of {', '.join(BATCHES)}")
        for key, given in (("k", self.k), ("prompts", self.prompts)):
            for name in given:
                if name not in self.sets:
                    raise ConfigError(f"data.{key}.{name}: there is no such set; data.sets has {', '.join(self.sets)}")
        for name, numbers in self.k.items():
            if not isinstance(numbers, Mapping) or not all(type(k) is int and k >= 0 for k in numbers.values()):
                raise ConfigError(f"data.k.{name}={numbers!r} must be of the form {{SOURCE: NUMBER}}; 0: none")
        for name, prompts in self.prompts.items():
            if not isinstance(prompts, Mapping) or set(prompts) - set(SIDES):
                raise ConfigError(
                    f"data.prompts.{name}={prompts!r} must be of the form {{query: TEXT, document: TEXT}}"
                )

    def load(self) -> RetrievalData:
        """Load every set and join them; raises what they raise."""
        loaded = {str(name): recipe.load() for name, recipe in self.sets.items()}
        parts = self._parts(loaded)
        joined = [(loaded[part.name], part) for part in parts]
        splits = dict.fromkeys(split for data in loaded.values() for split in data.qrels)
        has_truth = all(data.truth is not None for data in loaded.values())
        has_given = any(data.given is not None for data in loaded.values())
        return RetrievalData(
            self.name or "+".join(loaded),
            _texts({name: data.corpus for name, data in loaded.items()}),
            _texts({name: data.queries for name, data in loaded.items()}),
            {split: _qrels([(data.qrels.get(split), part) for data, part in joined]) for split in splits},
            # Of a set without truth nobody knows what else is relevant, so the whole has no truth either.
            truth=_qrels([(data.truth, part) for data, part in joined]) if has_truth else None,
            given=_given(joined) if has_given else None,
            scored=_scored(joined),
            skipped={f"{name}: {why}": n for name, data in loaded.items() for why, n in data.skipped.items()},
            mixed=parts,
            temper=self.temper,
            blended=self.batches == "blended",
            own=_own(joined),
        )

    def _parts(self, loaded: Mapping[str, RetrievalData]) -> tuple[Part, ...]:
        queries = accumulate((len(data.queries) for data in loaded.values()), initial=0)
        docs = accumulate((len(data.corpus) for data in loaded.values()), initial=0)
        rows = zip(loaded, pairwise(queries), pairwise(docs), strict=True)
        own = {name: dict(self.prompts.get(name, {})) for name in loaded}
        return tuple(
            Part(
                name,
                range(*asked),
                range(*held),
                own[name].get("query", loaded[name].query_prompt),
                own[name].get("document"),
                dict(self.k.get(name, {})),
            )
            for name, asked, held in rows
        )


def _texts(columns: Mapping[str, Texts]) -> Texts:
    """Join columns; a prefix makes the ids of different sets different."""
    large = pa.large_string()
    ids = [
        pa.compute.binary_join_element_wise(pa.scalar(f"{name}/", large), column.ids, pa.scalar("", large))
        for name, column in columns.items()
    ]
    return Texts(pa.concat_arrays(ids), pa.concat_arrays([column.texts for column in columns.values()]))


def _qrels(tables: list[tuple[Qrels | None, Part]]) -> Qrels:
    """Join judgements; a set without any adds none."""
    some = [(table, part) for table, part in tables if table is not None]
    has_gains = any(table.gains is not None for table, _ in some)
    gains = [table.scores if table.gains is None else table.gains for table, _ in some]
    return Qrels(
        np.concatenate([table.queries + np.int32(part.queries.start) for table, part in some]),
        np.concatenate([table.docs + np.int32(part.docs.start) for table, part in some]),
        np.concatenate([table.scores for table, _ in some]),
        np.concatenate(gains) if has_gains else None,
    )


def _own(sets: list[tuple[RetrievalData, Part]]) -> np.ndarray | None:
    """Join the documents that queries are themselves; a set without any adds none."""
    if all(data.own is None for data, _ in sets):
        return None
    own = np.full(sets[-1][1].queries.stop, -1, np.int32)
    for data, part in sets:
        if data.own is not None:
            own[part.queries.start : part.queries.stop] = np.where(data.own < 0, -1, data.own + part.docs.start)
    return own


def _given(sets: list[tuple[RetrievalData, Part]]) -> Ragged:
    """Join the given negatives; the queries of a set without any have none."""
    rows, values = [], []
    for data, part in sets:
        if data.given is not None:
            rows.append(data.given.row_ids + part.queries.start)
            values.append(data.given.values + np.int32(part.docs.start))
    return Ragged.of(np.concatenate(rows), np.concatenate(values), sets[-1][1].queries.stop)


def _scored(sets: list[tuple[RetrievalData, Part]]) -> PairScores | None:
    """Join the scores that some of the sets come with."""
    some = [(data.scored, part.queries.start, part.docs.start) for data, part in sets if data.scored is not None]
    return PairScores.joined(some) if some else None
