"""From a row to an example: its query, its positives and negatives, and a teacher's scores of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from hardneg.data.readers import columns as names
from hardneg.data.readers.columns import Roles
from hardneg.data.readers.fields import document_text, filled, number, string, wrong_type
from hardneg.data.readers.lines import BadRow, called
from hardneg.system.counts_in_words import listed

log = logging.getLogger(__name__)

TEXTS = "a string or a list of strings"
UNKNOWN = "unknown document"  # why a row is bad that names one by an id that the corpus lacks
LOOKED_AT = 20  # the first rows, one of which must tell what the columns are


@dataclass(frozen=True)
class Example:
    """One query with documents as texts; one score for each of these, or None without scores."""

    query: str
    positives: list[str]
    negatives: list[str]
    positive_scores: list[float | None] = field(default_factory=list)
    negative_scores: list[float | None] = field(default_factory=list)
    prompt: str | None = None


class Examples:
    """Reads the rows of one table; `columns` names roles, else the first row that is understood determines the layout.

    `positive_from` is the lowest score of a positive (null: labels are 0 or 1). `corpus` maps ids
    to texts, for tables that name documents by id.
    """

    def __init__(
        self,
        columns: Mapping[str, Any] | None = None,
        positive_from: int | float | None = None,
        corpus: Mapping[str, str] | None = None,
    ) -> None:
        self.columns, self.positive_from, self.corpus = names.chosen(columns), positive_from, corpus
        self.fixed: Roles | None = None
        self.is_plain = False
        self.misfit = False  # whether it was logged that scores are not read
        self.said = False  # how the columns are read, as the first row determines

    def roles(self, row: Mapping[str, Any]) -> Roles:
        """Tell which field of a row is what; raises `BadRow` where a field is missing."""
        present = tuple(map(str, row))
        if self.columns:
            return names.named(self.columns, present)
        if self.fixed is None and not self.is_plain:
            self.fixed = names.recognised(row)
            if self.fixed is None:
                names.plain(present)  # or this row lacks something, and the next one may determine it
                self.is_plain = True
        if self.fixed is None:
            return names.plain(present)
        needed = (self.fixed.query, self.fixed.positive[0])
        if missing := [name for name in needed if name not in row]:
            what = f"no field {missing[0]!r} (there are: {listed(present)})"
            raise BadRow("missing field", what, f"add {missing[0]!r}")
        return self.fixed

    def first_row(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Roles, Mapping[str, Any]] | None:
        """Return which field is what in the first row that is understood, and the row; None where there are no rows.

        A row may have gaps, but if none of the first `LOOKED_AT` is understood, `BadRow` says what the first one lacks.
        """
        found: BadRow | None = None
        for row in islice(rows, LOOKED_AT):
            try:
                return self.roles(row), row
            except BadRow as bad:
                found = found or bad
        if found is not None:
            raise found
        return None

    def __call__(self, row: Mapping[str, Any]) -> Example | None:
        """Read a row; None for one without a positive in a layout that allows that. Raises `BadRow` for a wrong row."""
        roles = self.roles(row)
        query = filled("" if row[roles.query] is None else string(row, roles.query), roles.query)
        positives = self._documents(row, roles.positive, roles)
        negatives = self._documents(row, roles.negative, roles)
        negatives = negatives or self._documents(row, roles.fallback, roles)
        if not positives:
            if roles.may_lack:
                return None
            raise BadRow("query without positive", "the row has no positive", "add one or remove the row")
        if negatives and not set(positives).isdisjoint(negatives):
            raise _contradiction()
        prompt = row.get(roles.prompt) if roles.prompt else None
        if prompt is not None and not isinstance(prompt, str):
            raise wrong_type(roles.prompt or "", prompt, "a string")
        return self._scored(row, roles, Example(query, positives, negatives, prompt=prompt or None))

    def _scored(self, row: Mapping[str, Any], roles: Roles, found: Example) -> Example:
        """Return the example with the row's scores; a label can make negatives of the column of positives."""
        positives, negatives = len(found.positives), len(found.negatives)
        of_positives = _scores(row, roles.positive_scores, positives)
        of_negatives = _scores(row, roles.negative_scores, negatives)
        value = self._said_of(row, roles, positives, negatives)
        if value is None:
            self._refuse_unlabelled(row, roles, found.negatives)
        elif negatives:
            of_positives, of_negatives = _of_each(value, roles.score or "", positives, negatives)
        elif isinstance(value, list):
            return self._labelled(value, roles, found)
        else:
            return self._on_one_side(value, roles, found)
        return replace(found, positive_scores=of_positives, negative_scores=of_negatives)

    def _on_one_side(self, value: Any, roles: Roles, found: Example) -> Example:
        """Make the column of positives what one label or score for all of it says."""
        score = float(value) if isinstance(value, bool) else number(value)  # is_duplicate of Quora's questions
        relevant = self._relevant(score, value, roles)
        kept = self.positive_from is not None or not roles.labels
        scores: list[float | None] = [score] * len(found.positives) if kept else []
        if relevant:
            return replace(found, positive_scores=scores)
        return replace(found, positives=[], negatives=found.positives, negative_scores=scores)

    def _refuse_unlabelled(self, row: Mapping[str, Any], roles: Roles, negatives: list[str]) -> None:
        """Raise `BadRow` for a pair without the label that would say whether it is a positive."""
        tells = roles.labels or self.positive_from is not None
        if tells and not negatives and roles.score is not None and row.get(roles.score) is None:
            what = f"{roles.score!r} is empty, so nothing says whether the pair is a positive"
            raise BadRow("missing label", what, "fill it or remove the row")

    def _said_of(self, row: Mapping[str, Any], roles: Roles, positives: int, negatives: int) -> Any:
        """The label or score, or a list of them; None where `scores` are not those of the documents."""
        value = None if roles.score is None else row.get(roles.score)
        if value is None or roles.score != "scores" or self.columns or _fit(value, positives, negatives):
            return value
        if not self.misfit:
            self.misfit = True
            what = (
                "'scores' is not read in rows where it holds %d numbers for %d positives and %d negatives, or the like"
            )
            log.warning(what, len(value) if isinstance(value, list) else 1, positives, negatives)
        return None

    def _labelled(self, values: list[Any], roles: Roles, found: Example) -> Example:
        """Split the column of positives into positives and negatives by a list of labels or scores, one for each.

        Without a threshold only 1 and 0 will do: `mine_hard_negatives` writes negatives after the positive, in its
        column.
        """
        docs = found.positives
        if len(values) != len(docs):
            what = f"{roles.score!r} holds {len(values)} numbers for {len(docs)} documents"
            raise BadRow("wrong score count", what, "give one for each document")
        sides: dict[bool, dict[str, float]] = {True: {}, False: {}}
        for text, value in zip(docs, values, strict=True):
            score = float(value) if isinstance(value, bool) else number(value)
            relevant = self._relevant(score, value, replace(roles, labels=True))
            if text in sides[not relevant]:
                raise _contradiction()
            sides[relevant][text] = score
        split = replace(found, positives=[*sides[True]], negatives=[*sides[False]])
        if self.positive_from is None:
            return split
        return replace(split, positive_scores=[*sides[True].values()], negative_scores=[*sides[False].values()])

    def _relevant(self, score: float, value: Any, roles: Roles) -> bool:
        """Whether a document with this score is a positive; raises `BadRow` for a label that does not tell."""
        if self.positive_from is not None:
            return score >= self.positive_from or score == _in_float32(self.positive_from)
        if roles.labels and score not in (0, 1):
            raise BadRow(
                "label not 0 or 1",
                f"{roles.score!r} is {value!r}, which is neither 1 (a positive) nor 0 (a negative)",
                "say from which value on a pair is a positive, by data.positive_from=NUMBER (in data=table)",
            )
        return bool(score) or not roles.labels

    def _documents(self, row: Mapping[str, Any], keys: tuple[str, ...], roles: Roles) -> list[str]:
        return [text for key in keys for text in self._texts(row.get(key), key, roles.by_id)]

    def _texts(self, value: Any, key: str, by_id: bool) -> list[str]:
        if value is None:  # columns of different lengths are padded with null
            return []
        texts = []
        for item in value if isinstance(value, list) else [value]:
            if by_id:
                texts.append(self._named(item, key))
            elif isinstance(item, Mapping):
                texts.append(document_text(item))
            elif isinstance(item, str):
                texts.append(filled(item, key))
            else:
                raise wrong_type(key, item, TEXTS)
        return texts

    def _named(self, name: Any, key: str) -> str:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise wrong_type(key, name, "a list of ids")
        if self.corpus is None or str(name) not in self.corpus:
            mend = "put corpus.jsonl {docid, text, title?} with every document beside the file, and name the folder"
            raise BadRow(UNKNOWN, f"document {str(name)!r} is in no corpus", mend)
        return self.corpus[str(name)]

    def say(self, source: str, present: tuple[str, ...], row: Mapping[str, Any]) -> None:
        """Log in one line how a table's columns are read, where their names do not tell."""
        self.said = True
        roles = self.roles(row)
        telling = ("prompt", "type")  # no columns of text, but their writers meant something by them
        rest = [name for name in present if name not in roles.used]
        unused = [name for name in rest if name in telling or not names.ASIDE.fullmatch(name)]
        if self.is_plain and not unused:
            return
        read = {"query": [roles.query], "positive": roles.positive, "negative": [*roles.negative, *roles.fallback]}
        parts = [f"{role}: {', '.join(columns)}" for role, columns in read.items() if columns]
        parts += [f"score: {roles.score}"] if roles.score else []
        left = f"; not used: {listed(unused)}" if unused else ""
        log.info("%s: columns are read as %s%s", called(source), "; ".join(parts), left)


def _scores(row: Mapping[str, Any], key: str | None, count: int) -> list[float | None]:
    value = None if key is None else row.get(key)
    if value is None or value == []:
        return []
    values = value if isinstance(value, list) else [value]
    if len(values) != count:
        what = f"{key!r} holds {len(values)} scores for {count} documents"
        raise BadRow("wrong score count", what, "give one score for each document, null where there is none")
    return [None if score is None else number(score) for score in values]


def _fit(value: Any, positives: int, negatives: int) -> bool:
    """Whether there are as many scores as documents, or margins of one positive over each negative."""
    count = len(value) if isinstance(value, list) else 1
    if not negatives:
        return not isinstance(value, list) or count == positives
    return count == positives + negatives or (positives == 1 and count == negatives)


def _of_each(value: Any, key: str, positives: int, negatives: int) -> tuple[list[float | None], list[float | None]]:
    """The scores of positives, then of negatives; or margins of the positive over each, all that a loss reads."""
    values = [number(score) for score in (value if isinstance(value, list) else [value])]
    if len(values) == positives + negatives:
        return [*values[:positives]], [*values[positives:]]
    if len(values) == negatives and positives == 1:
        return [0.0], [-margin for margin in values]
    what = f"{key!r} holds {len(values)} numbers for {positives} positives and {negatives} negatives"
    raise BadRow("wrong score count", what, "give one for each document, or a margin for each negative of one positive")


def _in_float32(bar: int | float) -> int | float:
    """What a table that keeps scores as float32 has for a bar with decimals: 0.7 is less than 0.7 there."""
    return bar if float(bar).is_integer() else float(np.float32(bar))


def _contradiction() -> BadRow:
    return BadRow("contradiction", "the same text is positive and negative", "keep it on one side")
