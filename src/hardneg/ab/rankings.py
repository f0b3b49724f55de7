"""Rankings by string ids, and judgements from qrels files, checked line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hardneg.data.readers.fields import number
from hardneg.data.readers.judgements import tsv_judgements
from hardneg.data.readers.lines import BadRow, Strict
from hardneg.data.tables import RetrievalData
from hardneg.errors import UserError
from hardneg.retrieval.metrics import QueryRankings, Rankings, grade
from hardneg.runs.trec_runs import in_order


def ranked(run: QueryRankings, data: RetrievalData) -> Rankings:
    """Return a run's rankings by string ids, in trec_eval's order."""
    return {query: in_order(found) for query, found in run.as_dict(data).items()}


def read_qrels(path: Path) -> dict[str, dict[str, int | float]]:
    """Read judgements (BEIR's three columns or TREC's four) as query -> document -> grade; 0 or less: not relevant.

    Raises `DataError` with file and line for a broken row, and for one that contradicts an earlier one; `UserError`
    where there is no such file.
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
    """Return the rankings of these queries, in their order; empty for a query without one."""
    return {query: rankings.get(query, {}) for query in queries}


def lists(rankings: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Return the documents of each query, best first."""
    return {query: list(ranked) for query, ranked in rankings.items()}
