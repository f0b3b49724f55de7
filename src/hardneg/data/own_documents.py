"""Queries that are documents themselves, as in ArguAna and Quora: each would be the best answer to itself."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int32

from hardneg.data.tables import Qrels, Texts
from hardneg.errors import ConfigError

CHOICES = ("leave_out", "keep")


def check_own_documents(choice: str) -> None:
    """Raise `ConfigError` unless it is a way to treat a query's own document."""
    if choice not in CHOICES:
        raise ConfigError(f"data.own_documents={choice!r} must be one of {', '.join(CHOICES)}")


def own_documents(corpus: Texts, queries: Texts, qrels: Iterable[Qrels]) -> Int32[np.ndarray, " Q"] | None:
    """Return the row of the document that each query is, -1 for none; None where no query is a document.

    A document is the query where both its id and its text are (surrounding blanks and a title before the text aside):
    ids alone often count from 0 on both sides. A document that is judged relevant to the query is an answer all the
    same. BEIR leaves such documents out by id alone (Thakur et al. 2021, arXiv:2104.08663, `ignore_identical_ids`).
    """
    own = corpus.find(queries.ids)
    named = np.flatnonzero(own >= 0)
    for query, asked, text in zip(named, queries.take(named), corpus.take(own[named]), strict=True):
        if not _is_text_of(asked.strip(), text.strip()):
            own[query] = -1
    for judged in qrels:
        relevant = judged.relevant
        itself = own[relevant.queries] == relevant.docs
        own[relevant.queries[itself]] = -1
    return own if (own >= 0).any() else None


def _is_text_of(query: str, document: str) -> bool:
    """Whether a document, which is a title and a text or one of the two, is the query."""
    return document == query or document.endswith((f" {query}", f"\n{query}"))
