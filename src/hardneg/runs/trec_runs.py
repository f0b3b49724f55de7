"""TREC run files: the writer of rankings, and the one reader, which refuses what it cannot read for certain."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from hardneg.data.readers.columns import is_number
from hardneg.data.readers.fields import number
from hardneg.data.readers.lines import BadRow, Strict, text_lines
from hardneg.data.tables import RetrievalData
from hardneg.retrieval.formulas import ordered
from hardneg.retrieval.metrics import QueryRankings, Rankings

log = logging.getLogger(__name__)

LAYOUT = "write `query Q0 document rank score tag`, six columns with blanks between"
WHOLE = re.compile(r"[+-]?\d+")
BLANK, BLANK_OR_PERCENT = re.compile(r"\s"), re.compile(r"[%\s]")
# The format cannot hold ids with blanks, which real sets have. A tag that ends in this says that ids are encoded.
ENCODED = ";ids=percent-encoded"


def write_run(path: Path, run: QueryRankings, data: RetrievalData, tag: str) -> None:
    """Write a run file that trec_eval, ranx and pytrec_eval read; scores have all digits, so that ties stay ties.

    Where an id has a blank in it, all ids of the file are written percent-encoded (RFC 3986; only blanks and `%` are
    changed) and the tag ends in `;ids=percent-encoded`, by which `read_run` knows it. Otherwise ids stay as they are.
    """
    rankings = run.as_dict(data)
    encoded = any(BLANK.search(name) for query, found in rankings.items() for name in (query, *found))
    written: Callable[[str], str] = _percent_encoded if encoded else str
    tag = BLANK.sub("_", tag) + ENCODED * encoded
    with path.open("w", encoding="utf-8") as file:
        for query, found in rankings.items():
            name = written(query)
            for rank, (doc, score) in enumerate(found.items(), start=1):
                file.write(f"{name} Q0 {written(doc)} {rank} {score:.9g} {tag}\n")
    if encoded:
        log.info("%s: some ids contain spaces, so all are percent-encoded there (urllib.parse.unquote undoes it)", path)


def read_run(path: Path) -> Rankings:
    """Read a TREC run file (also .gz): the score decides the order, as it does for trec_eval, not the rank column.

    A line is `query Q0 document rank score` and the tag, which is all that follows. Columns are separated by blanks, or
    by tabs where a line has five or more of them. Ids with blanks are read as `write_run` writes them.

    Raises `DataError` with file and line for too few columns, for more that could be read in two ways, a rank that is
    not a whole number, a score that is not finite, and a document that a query has twice.
    """
    found, complaints = dict[str, dict[str, float]](), Strict()
    for line, text in text_lines(path, complaints):
        try:
            query, doc, score = _columns(text)
            ranked = found.setdefault(query, {})
            if doc in ranked:
                what = f"document {doc!r} is ranked twice for query {query!r}"
                raise BadRow("document twice", what, "keep one of the two lines")
        except BadRow as bad:
            complaints.about(path, line, bad)
        ranked[doc] = score
    return {query: in_order(scores) for query, scores in found.items()}


def in_order(scored: Mapping[str, float]) -> dict[str, float]:
    """Sort documents as trec_eval does (see `formulas.ordered`), with their scores in float32."""
    docs = ordered(scored)
    scores = np.array([scored[doc] for doc in docs], np.float32).tolist()
    return dict(zip(docs, scores, strict=True))


def _columns(text: str) -> tuple[str, str, float]:
    """Read query, document and score of a line: five columns and the tag."""
    tabs = text.count("\t") >= 5
    columns = [column.strip() for column in (text.split("\t", 5) if tabs else text.split(None, 5))]
    parts = text.split()
    count = len(columns) if tabs else len(parts)
    longer = not tabs and count > 6
    if count < 6 or (longer and columns[1].upper() not in ("Q0", "0")):
        what = f"{count} columns where 6 are expected" + ", of which the second is Q0" * longer
        raise BadRow("columns", "a comment, which the format has not" if text.startswith("#") else what, LAYOUT)
    query, _, doc, rank, score, tag = columns
    if not query or not doc:
        raise BadRow("columns", "an id is empty", LAYOUT)
    if not WHOLE.fullmatch(rank):
        raise BadRow("rank", f"rank {rank!r} is not a whole number", LAYOUT)
    if longer and len(places := _ranks_and_scores(parts)) > 1:  # `a 7 1 2.5 x`: an id with a blank, or a long tag?
        what = f"{count} columns where 6 are expected, and rank and score could be {' or '.join(places)}"
        raise BadRow("columns", what, f"{LAYOUT}, without blanks within ids and tag, or with tabs between")
    if tag.endswith(ENCODED):
        query, doc = _decoded(query), _decoded(doc)
    return query, doc, number(score)


def _ranks_and_scores(parts: Sequence[str]) -> list[str]:
    """The neighbours that could be rank and score: a whole number before a number, behind a document, before a tag."""
    pairs = pairwise(parts[3:-1])
    return [f"{rank} {score}" for rank, score in pairs if WHOLE.fullmatch(rank) and is_number(score)]


def _percent_encoded(text: str) -> str:
    return BLANK_OR_PERCENT.sub(lambda found: quote(found[0], safe=""), text)


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadRow(
            "encoding", f"id {text!r} is not percent-encoded UTF-8, as the tag says", "write it anew"
        ) from None
