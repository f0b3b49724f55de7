"""Slices: kinds of queries that a mean may hide, by length, words, data set or a file of the user's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from hardneg.ab.relevance import Judgements
from hardneg.compare import clusters
from hardneg.errors import UserError
from hardneg.system.counts_in_words import QUERIES, counted

PARTS = 3  # slices of about equal size that a measure is cut into
_WORD = re.compile(r"\w+")

Slices = Mapping[str, Mapping[str, Bool[np.ndarray, " Q"]]]  # kind -> slice -> which queries


def slices(judged: Judgements, files: Mapping[str, Path]) -> dict[str, dict[str, np.ndarray]]:
    """Return which queries are of each slice, by kind; a kind with a single slice is left out.

    `files` maps a kind of the user's to a file of query ids and slices (tab-separated, .csv or .json); queries that it
    does not name are in none of its slices. Raises `UserError` for a file that names none of the queries.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    if judged.queries:
        lengths = np.array([len(words(judged.queries.get(query, ""))) for query in judged.ids], float)
        found["query length"] = cut(lengths, "{low:.0f}-{high:.0f} words", "{low:.0f} words")
    if judged.queries and judged.docs:
        shares = np.round(lexical_overlap(judged), 2)  # as they are named: no two slices may have one name
        found["words in the document"] = cut(shares, "{low:.0%} to {high:.0%}", "{low:.0%}")
    if judged.sets:
        found["set"] = by_name([judged.sets.get(query) for query in judged.ids])
    for kind, path in files.items():
        if not path.is_file():
            raise UserError(f"--slice {kind}={path}: no such file")
        named = clusters.read(path)
        found[kind] = by_name([named.get(query) for query in judged.ids])
        if not found[kind]:
            raise UserError(
                f"--slice {kind}={path}: names none of the {counted(len(judged.ids), *QUERIES)}; check its first column"
            )
    return {kind: parts for kind, parts in found.items() if len(parts) > 1 or kind in files}


def words(text: str) -> list[str]:
    """Cut a text into words, in lower case."""
    return _WORD.findall(text.lower())


def lexical_overlap(judged: Judgements) -> Float[np.ndarray, " Q"]:
    """Return the share of each query's distinct words that its relevant document holds, the best one if there are many.

    Low shares are the queries that word matching cannot answer.
    """
    shares = []
    for query, docs in judged.relevant.items():
        asked = set(words(judged.queries.get(query, "")))
        held = [len(asked & set(words(judged.docs[doc]))) for doc in docs if doc in judged.docs]
        shares.append(max(held, default=0) / max(len(asked), 1))
    return np.array(shares)


def cut(values: Float[np.ndarray, " Q"], between: str, middle: str) -> dict[str, np.ndarray]:
    """Cut queries into `PARTS` slices of about one size by a measure, named by their ranges; ties are not cut."""
    edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS, method="lower"))
    place = np.searchsorted(edges, values)  # an edge belongs to the slice that it ends
    found = {}
    for part in np.unique(place):
        here = place == part
        low, high = values[here].min(), values[here].max()
        found[(middle if low == high else between).format(low=low, high=high)] = here
    return found


def by_name(names: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Group queries by a name; None is in no group."""
    given = np.array(names, object)
    return {name: given == name for name in sorted({n for n in names if n is not None})}


def each(groups: Slices) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every slice with its name, kind first."""
    for kind, parts in groups.items():
        for name, here in parts.items():
            yield f"{kind}: {name}", here
