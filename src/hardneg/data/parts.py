"""The data sets that one retrieval set is made of, each with contiguous rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One data set's rows in the tables of queries and documents, and the prompts it has of its own (null: none).

    `k` is how many negatives its queries get from each source, where the source's own number is replaced.
    """

    name: str
    queries: range
    docs: range
    query_prompt: str | None = None
    document_prompt: str | None = None
    k: Mapping[str, int] = field(default_factory=dict)
