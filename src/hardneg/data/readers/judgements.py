"""Relevance judgements: rows that name a query and a document become integer rows, all of them checked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hardneg.data.grades import whole_steps
from hardneg.data.readers.fields import AN_ID, RowSource, number, wrong_type
from hardneg.data.readers.judgement_rows import JudgementRows
from hardneg.data.readers.lines import BadRow, Complaints, text_lines
from hardneg.data.tables import Qrels, Texts
from hardneg.errors import DataError
from hardneg.system.counts_in_words import QUERIES, counted

log = logging.getLogger(__name__)

HEADER_ENDS = ("score", "relevance", "rel", "label")
LAYOUT = "write `query-id corpus-id score`, or TREC's `query-id 0 corpus-id score`, with tabs between"


def tsv_judgements(path: Path, complaints: Complaints) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Yield number and (query id, document id, score) of each line of a qrels file.

    Layout: three columns, or TREC's four of which the second is not used; the first line decides, and may be a header
    (it ends in `score`). Columns are separated by tabs, in a line without tabs by blanks; TREC's four by both, where
    tabs alone give another number (but three in the first line are three). Complains about other lines, and, with four
    columns, about a document that is judged twice under different second ones: TREC's subtopics.
    """
    width = header = 0
    seen, seconds = False, dict[tuple[str, str], str]()
    for line, text in text_lines(path, complaints):
        columns = _columns(text, width)
        if _is_comment(text, columns[-1]):
            what = "a comment, which this format does not have"
            complaints.about(path, line, BadRow("comment", what, "remove the line"))
            continue
        if not width:
            width = 4 if len(columns) == 4 else 3
            if columns[-1].strip().lower() in HEADER_ENDS:
                header = line
                continue
        seen = True
        if len(columns) != width:
            what = f"{len(columns)} columns where {width} are expected"
            if any(column.lstrip().startswith("#") for column in columns[width:]):
                what = f"a comment behind the {width} columns, which this format does not have"
            elif len(columns) == 6 and columns[1] == "Q0":
                what = f"a line of a run file (a ranking) where {width} columns of judgements are expected"
            complaints.about(path, line, BadRow("wrong column count", what, LAYOUT))
            continue
        if width == 4 and seconds.setdefault((columns[0], columns[2]), columns[1]) != columns[1]:
            what = f"document {columns[2]!r} is judged for query {columns[0]!r} under {columns[1]!r} and, above, under "
            what += f"{seconds[columns[0], columns[2]]!r}: one judgement for each subtopic, which are not read"
            complaints.about(path, line, BadRow("subtopic", what, "keep one line for each document, as its best grade"))
            continue
        yield line, (columns[0], columns[-2], columns[-1])
    if header and not seen:
        bad = BadRow("empty file", "the file has a header but no rows", "write its rows or delete it")
        complaints.about(path, header, bad)


def _columns(text: str, width: int) -> list[str]:
    """Cut a line, of a file with this many columns (0: the first line); TREC's ids cannot hold blanks, others may."""
    columns = text.split("\t") if "\t" in text else text.split()
    expected = (width,) if width else (3, 4)
    if len(columns) not in expected and 4 in expected and len(text.split()) == 4:
        return text.split()
    return [column.strip() for column in columns] if len(columns) == 4 else columns


def _is_comment(text: str, last: str) -> bool:
    """Whether a line is a comment; an id may begin with `#` too, in a row that ends in a number, or in the header."""
    if not text.startswith("#") or last.strip().lower() in HEADER_ENDS:
        return text.startswith("# ")
    try:
        number(last)
    except BadRow:
        return True
    return text.startswith("# ")


def judgements(
    source: RowSource, corpus: Texts, queries: Texts, complaints: Complaints, relevant_from: int | float | None = None
) -> Qrels:
    """Turn (query id, document id, score) rows into `Qrels`; a row that repeats an earlier one is dropped.

    Scores below `relevant_from` (null: none) are grades that do not make a document relevant; queries that have no
    higher one are left out.

    Complains about unknown ids, scores that are not finite numbers, rows that contradict an earlier one,
    and queries that were judged but have no relevant document (score above 0) in this split. Raises `DataError` for
    grades that trec_eval cannot count.
    """
    rows = JudgementRows(source.name, complaints)
    for line, row in source.rows:
        try:
            rows.add(line, *_checked(row))
        except BadRow as bad:
            complaints.about(source.name, line, bad)
    qrels, lines = rows.judged(corpus, queries)
    qrels = _with_positives(qrels, lines, source.name, queries, complaints)
    try:
        whole_steps(qrels.scores.tolist())
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from None
    return qrels if relevant_from is None else _from_grade(qrels, relevant_from, source.name)


def _from_grade(qrels: Qrels, lowest: int | float, source: str) -> Qrels:
    """Make grades below the threshold not relevant, and leave out queries without a higher one."""
    graded = qrels.scores
    relevant = graded >= np.float32(lowest)
    found = Qrels(qrels.queries, qrels.docs, np.where(relevant, graded, graded.clip(max=0)), graded)
    keep = np.isin(found.queries, found.query_rows)
    left_out = len(np.unique(found.queries[~keep]))
    log.info(
        "%s: relevant from grade %g: %s of %s with a grade above 0; left out: %s without any",
        *(source, lowest, f"{relevant.sum():,}", counted(int((graded > 0).sum()), "document")),
        counted(left_out, *QUERIES),
    )
    return found.take(keep)


def _checked(row: tuple[Any, Any, Any]) -> tuple[str, str, float]:
    for key, value in (("query-id", row[0]), ("corpus-id", row[1])):
        if not isinstance(value, str):
            raise wrong_type(key, value, AN_ID)
    return row[0], row[1], number(row[2])


def _with_positives(qrels: Qrels, lines: np.ndarray, source: str, queries: Texts, complaints: Complaints) -> Qrels:
    keep = np.isin(qrels.queries, qrels.query_rows)
    without, lines = qrels.queries[~keep], lines[~keep]
    rows, firsts = np.unique(without, return_index=True)
    for first in np.sort(firsts):
        what = f"query {queries.ids[int(without[first])].as_py()!r} has no relevant document (score above 0) here"
        mend = "judge one relevant or remove its rows"
        complaints.about(source, int(lines[first]), BadRow("query without positive", what, mend))
    return qrels.take(keep) if len(rows) else qrels
