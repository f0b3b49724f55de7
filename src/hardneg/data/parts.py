"""The data sets that one retrieval set is made of: each has its rows in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True)
class Part:
    """One data set's rows in the tables of queries and documents, and the prompts it has of its own (null: none)."""

    name: str
    queries: range
    docs: range
    query_prompt: str | None = None
    document_prompt: str | None = None


def places(rows: np.ndarray | int, ranges: Sequence[range]) -> Int64[np.ndarray, "*n"]:
    """Say which of the ranges, which come one after the other from 0, each row lies in."""
    return np.searchsorted(np.array([one.stop for one in ranges]), rows, side="right")
