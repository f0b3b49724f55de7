"""Texts of a data set that are copies of each other, or empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from jaxtyping import Int

from hardneg.data.tables import RetrievalData, Texts

EXAMPLES = 3


@dataclass(frozen=True)
class Alike:
    """Numbers of the queries and of the documents, equal where texts differ in case and blanks alone."""

    queries: Int[np.ndarray, " Q"]
    docs: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, data: RetrievalData) -> Alike:
        """Number all texts of a set."""
        both = pa.concat_arrays([data.queries.texts, data.corpus.texts])
        lower = pa.compute.replace_substring_regex(pa.compute.utf8_lower(both), r"\s+", " ")
        numbers = pa.compute.utf8_trim_whitespace(lower).dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(numbers[: len(data.queries)], numbers[len(data.queries) :])


def duplicates(texts: Texts, groups: Int[np.ndarray, " n"]) -> dict[str, Any]:
    """Count the texts that repeat another one, by their numbers, and show the ids of the most frequent."""
    names, first, counts = np.unique(groups, return_index=True, return_counts=True)
    often = np.lexsort((first, -counts))[:EXAMPLES]
    shown = [np.flatnonzero(groups == names[place]) for place in often if counts[place] > 1]
    return {
        "texts": int((counts - 1).sum()),
        "groups": int((counts > 1).sum()),
        "examples": [
            {
                "ids": [texts.ids[int(row)].as_py() for row in rows[:EXAMPLES]],
                "times": len(rows),
                "text": texts[int(rows[0])],
            }
            for rows in shown
        ],
    }


def empty(texts: Texts) -> dict[str, Any]:
    """Count the texts without a letter, digit or sign."""
    lengths = pa.compute.utf8_length(pa.compute.utf8_trim_whitespace(texts.texts)).to_numpy()
    rows = np.flatnonzero(lengths == 0)
    return {"texts": len(rows), "examples": [texts.ids[int(row)].as_py() for row in rows[:EXAMPLES]]}


def queries_that_are_documents(data: RetrievalData, alike: Alike) -> dict[str, Any]:
    """Count the queries whose text is a document's; `own` are those that the reader takes for the document itself."""
    queries, docs = alike.queries, alike.docs
    rows = np.flatnonzero(np.isin(queries, docs))
    shown = [
        {
            "query": data.queries.ids[int(row)].as_py(),
            "document": data.corpus.ids[int(np.flatnonzero(docs == queries[row])[0])].as_py(),
            "text": data.queries[int(row)],
        }
        for row in rows[:EXAMPLES]
    ]
    return {"queries": len(rows), "own": 0 if data.own is None else int((data.own >= 0).sum()), "examples": shown}
