"""The data sets that one retrieval set is made of: each has its rows in one piece."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One data set's rows in the tables of queries and documents, and the prompts it has of its own (null: none)."""

    name: str
    queries: range
    docs: range
    query_prompt: str | None = None
    document_prompt: str | None = None
