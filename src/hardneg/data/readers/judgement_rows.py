"""Collecting judgements by id, in Arrow's memory, until all are read and their rows are looked up at once."""

from __future__ import annotations

from array import array

import numpy as np
from jaxtyping import Int64

from hardneg.data.packed_pairs import packed
from hardneg.data.readers.arrow_columns import ArrowColumns
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.tables import Qrels, Texts

UNUSED = (["0"], ["Q0"])  # TREC's second column, which was taken for a part of an id
AS_TREC = "separate TREC's four columns by tabs alone or blanks alone"


class JudgementRows:
    """Takes in (query id, document id, score) with the lines they come from."""

    def __init__(self, source: str, complaints: Complaints) -> None:
        self.source, self.complaints = source, complaints
        self.lines, self.scores = array("q"), array("f")
        self._columns = ArrowColumns(2)

    def add(self, line: int, query: str, doc: str, score: float) -> None:
        """Take in a row."""
        self.lines.append(line)
        self.scores.append(score)
        self._columns.add(query, doc)

    def judged(self, corpus: Texts, queries: Texts) -> tuple[Qrels, Int64[np.ndarray, " n"]]:
        """Return each judgement once, and its line.

        Complains, in the order of the lines, about unknown ids, and about pairs that are repeated with another score.
        """
        query_ids, doc_ids = self._columns.joined()
        rows, docs = queries.find(query_ids), corpus.find(doc_ids)
        scores, lines = np.array(self.scores, np.float32), np.array(self.lines, np.int64)
        known = (rows >= 0) & (docs >= 0)
        pairs = np.where(known, packed(rows, docs), -1 - np.arange(len(rows)))
        _, first, place = np.unique(pairs, return_index=True, return_inverse=True)
        first = first[place]  # the first place of each row's pair
        for row in np.flatnonzero(~known | (scores != scores[first])).tolist():
            if rows[row] < 0:
                name = query_ids[row].as_py()
                mend = AS_TREC if name.split()[1:] in UNUSED else "add the query or remove the row"
                bad = BadRow("unknown query", f"query {name!r} is not among the queries", mend)
            elif docs[row] < 0:
                name = doc_ids[row].as_py()
                mend = AS_TREC if name.split()[:-1] in UNUSED else "add it or remove the row"
                bad = BadRow("unknown document", f"document {name!r} is not in the corpus", mend)
            else:
                what = f"score {scores[row]:g} contradicts score {scores[first[row]]:g} of the same query and document"
                bad = BadRow("conflicting score", f"{what} in line {lines[first[row]]}", "keep one of the two")
            self.complaints.about(self.source, int(lines[row]), bad)
        keep = known & (first == np.arange(len(rows)))
        return Qrels(rows[keep], docs[keep], scores[keep]), lines[keep]
