"""Duplicates: a pair that came before, and a query that is its own document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Bool, Float32, Int64

from hardneg.data.packed_pairs import packed
from hardneg.errors import ConfigError
from hardneg.pairs.base import PairFilter, Pairs

TEXTS = ("normalised", "exact")
BY = ("pair", "query", "document")

# What is no part of a word. Marks (vowel signs, accents) are of the letter before them; others, as behind an emoji, are
# of none.
BETWEEN = r"^\p{M}+|[^\p{L}\p{M}\p{N}]+\p{M}*"


class Duplicates(PairFilter):
    """Keep the first pair of equal ones, and none whose query is its document's text (unless `echoes` lets them).

    `texts` are equal when normalised, in letters with their marks and digits alone whatever their case and width
    (NFKC), or when exact, surrounding blanks aside; where one of them has no letter or digit, normalised means exact.
    `by` is what must not come twice: the pair, the query (a title of many texts) or the document (a text with many
    titles).

    Raises `ConfigError` for other `texts` or `by`.
    """

    def __init__(self, texts: str = "normalised", by: str = "pair", echoes: bool = False) -> None:
        if texts not in TEXTS:
            raise ConfigError(f"texts must be one of {', '.join(TEXTS)}, got {texts!r}")
        if by not in BY:
            raise ConfigError(f"by must be one of {', '.join(BY)}, got {by!r}")
        self.equal, self.by, self.echoes = texts, by, echoes
        self._pairs: Int64[np.ndarray, " n"] | None = None
        self._queries, self._docs = np.empty(0, np.int64), np.empty(0, np.int64)

    def measured_by(self) -> dict[str, Any]:
        """What counts as equal, and what must not come twice."""
        texts = "normalised, with marks" if self.equal == "normalised" else self.equal  # once it was without
        return {"measure": "Duplicates", "texts": texts, "by": self.by}

    def limits(self) -> dict[str, Any]:
        """Whether a query may be its own document."""
        return {"echoes": self.echoes}

    def open(self, pairs: Pairs, work: Path) -> None:
        """Number all texts, equal ones alike, and find the pairs that came before."""
        texts = pa.concat_arrays([pairs.data.queries.texts, pairs.data.corpus.texts])
        numbers = _numbered(texts, self.equal)
        self._queries, self._docs = np.split(numbers, [len(pairs.data.queries)])
        query, doc = self._queries[pairs.queries], self._docs[pairs.docs]
        key = {"pair": packed(query, doc), "query": query, "document": doc}[self.by]
        _, first = np.unique(key, return_index=True)
        again = np.ones(len(pairs), bool)
        again[first] = False
        self._pairs = packed(pairs.queries, pairs.docs)[again]  # in order, as pairs are

    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n 2"]:
        """Return whether each pair came before, and whether its query is its document: 1 or 0."""
        assert self._pairs is not None, "open() comes first"
        again = np.isin(packed(pairs.queries, pairs.docs), self._pairs, assume_unique=True)
        return np.stack([again, self._queries[pairs.queries] == self._docs[pairs.docs]], axis=1).astype(np.float32)

    def keep(self, values: Float32[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Return True for the first of equal pairs."""
        return (values[:, 0] == 0) & ((values[:, 1] == 0) | self.echoes)

    def told(self, values: Float32[np.ndarray, " 2"]) -> str:
        """Say which of the two it was."""
        return f"the {self.by} came before" if values[0] else "the query is the document"


def _numbered(texts: pa.LargeStringArray, equal: str) -> Int64[np.ndarray, " n"]:
    exact = pa.compute.utf8_trim_whitespace(texts)
    if equal == "normalised":
        lower = pa.compute.utf8_lower(pa.compute.utf8_normalize(texts, "NFKC"))
        bare = pa.compute.replace_substring_regex(lower, BETWEEN, " ")
        bare = pa.compute.utf8_trim_whitespace(bare)
        exact = pa.compute.if_else(pa.compute.equal(bare, ""), exact, bare)
    return exact.dictionary_encode().indices.to_numpy().astype(np.int64)
