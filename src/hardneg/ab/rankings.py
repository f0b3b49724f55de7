"""Rankings from TREC run files, and judgements from qrels files, checked line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from hardneg.data.readers.fields import number
from hardneg.data.readers.judgements import tsv_judgements
from hardneg.data.readers.lines import BadRow, Complaints, text_lines
from hardneg.data.tables import RetrievalData
from hardneg.errors import DataError, UserError
from hardneg.retrieval.metrics import Rankings, Run, grade

LAYOUT = "write `query Q0 document rank score tag`, six columns with blanks between"
# The format has no word for ids with blanks, which real sets have: what stands on both sides of Q0 is taken whole.
LINE = re.compile(r"(\S.*?)\s+Q0\s+(\S.*?)\s+(\S+)\s+(\S+)\s+(\S+)\s*")


class Strict(Complaints):
    """Every bad row ends the reading: half a run would be compared as if it were whole."""

    def __init__(self) -> None:
        super().__init__("raise")

    def about(self, source: str | Path, line: int, bad: BadRow) -> NoReturn:
        """Raise `DataError` beginning with `source:line:`."""
        raise DataError(f"{source}:{line}: {bad}")


def in_order(scored: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Sort documents as trec_eval does: by score in float32, and of equal scores the larger id first."""
    pairs = sorted(scored, reverse=True)
    scores = np.array([score for _, score in pairs], np.float32)
    return {pairs[row][0]: float(scores[row]) for row in np.argsort(-scores, kind="stable").tolist()}


def ranked(run: Run, data: RetrievalData) -> Rankings:
    """Return a run's rankings by string ids, in trec_eval's order."""
    return {query: in_order(found.items()) for query, found in run.as_dict(data).items()}


def read_run(path: Path) -> Rankings:
    """Read a TREC run file (also .gz): the score decides the order, as it does for trec_eval, not the rank column.

    Raises `DataError` with file and line for another number of columns, a score that is no finite number, and a
    document that a query has twice.
    """
    complaints, found = Strict(), dict[str, dict[str, float]]()
    for line, text in text_lines(path, complaints):
        columns = text.split()
        if len(columns) == 6:
            query, _, doc, _, written, _ = columns
        elif whole := LINE.fullmatch(text):
            query, doc, _, written, _ = whole.groups()
        else:
            complaints.about(path, line, BadRow("columns", f"{len(columns)} columns where 6 are expected", LAYOUT))
        try:
            score = number(written)
        except BadRow as bad:
            complaints.about(path, line, bad)
        ranked = found.setdefault(query, {})
        if doc in ranked:
            what = f"document {doc!r} is ranked twice for query {query!r}"
            complaints.about(path, line, BadRow("document twice", what, "keep one of the two lines"))
        ranked[doc] = score
    return {query: in_order(ranked.items()) for query, ranked in found.items()}


def read_qrels(path: Path) -> dict[str, dict[str, int | float]]:
    """Read judgements (BEIR's three columns or TREC's four) as query -> document -> grade; 0: not relevant.

    Raises `DataError` with file and line for a broken row, and for one that contradicts an earlier one.
    """
    if not path.is_file():
        raise UserError(f"--qrels {path}: no such file")
    complaints, found = Strict(), dict[str, dict[str, int | float]]()
    for line, (query, doc, score) in tsv_judgements(path, complaints):
        try:
            new = grade(number(score))
        except BadRow as bad:
            complaints.about(path, line, bad)
        if found.setdefault(query, {}).setdefault(doc, new) != new:
            what = f"grade {new} contradicts grade {found[query][doc]} of the same query and document above"
            complaints.about(path, line, BadRow("conflicting score", what, "keep one of the two"))
    return found


def over(rankings: Rankings, queries: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the rankings of these queries, in their order; an empty one where there is none."""
    return {query: rankings.get(query, {}) for query in queries}


def lists(rankings: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Return the documents of each query, best first."""
    return {query: list(ranked) for query, ranked in rankings.items()}
