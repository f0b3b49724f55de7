"""Which columns of a table hold the query, the positives, the negatives and their scores: named, or recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from hardneg.data.readers.lines import BadRow
from hardneg.errors import ConfigError
from hardneg.system.counts_in_words import listed

QUERY = ("query", "anchor")
POSITIVE = re.compile(r"positive(s|_\d+)?|pos")
NEGATIVE = re.compile(r"(hard_?)?neg(ative)?(s|_\d+)?")
LAYOUT = (
    "name the fields query (or anchor), positive (or pos) and, if there are any, negative, negative_1 ... or neg; or "
    "say which is which, as in 'data.columns={query: FIELD, positive: FIELD}'"
)

# Other usual names. Where a table has two of a kind nothing is guessed.
QUERIES = (
    "query",
    "anchor",
    "question",
    "sentence1",
    "sentence_1",
    "sentence_A",
    "text1",
    "query_text",
    "premise",
    "q",
)
POSITIVES = (
    *("document", "passage", "answer", "context", "sentence2", "sentence_2", "sentence_B", "text2", "doc"),
    *("response", "document_text", "passage_text", "text", "content", "hypothesis"),
    *("docs", "documents"),
)
SCORES = ("label", "labels", "score", "scores", "relevance", "similarity", "similarity_score", "is_duplicate")
FIRST = (("label", "labels"), ("score",), ("scores",))  # of several the earliest is read
ASIDE = re.compile(r"(.*[_ -])?(id|ids|idx|index|split|type|lang|language|source|prompt|url)|Unnamed.*|", re.IGNORECASE)
LONGEST_NAME = 40  # a first line with a longer cell is a row, unless another cell is certainly a name
MOST_WORDS = 3  # in a name: more are a text that happens to end like one
ROLES = ("query", "positive", "negative", "score", "prompt")


@dataclass(frozen=True)
class Roles:
    """The columns of one table by what they hold; a cell is a text, {title?, text}, or a list of these.

    `fallback` are negatives of the rows that have no others. `score` is a number of a pair, or one for each document;
    `labels` says that it tells positives (1) from negatives (0) unless a threshold is given. `by_id` marks tables whose
    cells are ids of documents in a corpus. `may_lack` marks layouts that are published with rows without a positive.
    """

    query: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    fallback: tuple[str, ...] = ()
    score: str | None = None
    positive_scores: str | None = None
    negative_scores: str | None = None
    prompt: str | None = None
    labels: bool = True
    by_id: bool = False
    may_lack: bool = False

    @property
    def used(self) -> list[str]:
        """Every column that is read."""
        values = [getattr(self, field.name) for field in fields(self)]
        flat = [name for value in values for name in (value if isinstance(value, tuple) else [value])]
        return list(dict.fromkeys(name for name in flat if isinstance(name, str)))


def check_columns(columns: Mapping[str, Any]) -> None:
    """Raise `ConfigError` unless the mapping names a query and a positive, and only roles."""
    columns = chosen(columns)
    if not columns:
        return
    example = "as in 'data.columns={query: question, positive: answer}'"
    if unknown := set(columns) - set(ROLES):
        raise ConfigError(
            f"data.columns.{sorted(unknown)[0]} is not a role; the roles are {', '.join(ROLES)}, {example}"
        )
    if lacking := {"query", "positive"} - set(columns):
        raise ConfigError(f"data.columns names no {' and no '.join(sorted(lacking))}; give both, {example}")
    for role, names in columns.items():
        several = isinstance(names, list | tuple) and role in ("positive", "negative") and names
        if not all(isinstance(name, str) and name for name in (names if several else [names])):
            raise ConfigError(f"data.columns.{role} is {names!r}; write the name of a column")


def chosen(columns: Mapping[str, Any] | None) -> dict[str, Any]:
    """The roles that are given a column; a role may also be null."""
    return {role: names for role, names in (columns or {}).items() if names is not None}


def names_in(columns: Mapping[str, Any] | None) -> set[str]:
    """The names of columns that the user gave."""
    given = chosen(columns).values()
    return {str(name) for names in given for name in (names if isinstance(names, list | tuple) else [names])}


def named(columns: Mapping[str, Any], present: Iterable[str]) -> Roles:
    """Return the roles that the user gave; raises `BadRow` for a missing column."""
    several = {role: names if isinstance(names, list | tuple) else (names,) for role, names in columns.items()}
    present = list(present)
    for names in several.values():
        for name in names:
            if name not in present:
                what = f"no column {name!r} (there are: {listed(map(str, present))})"
                raise BadRow("missing field", what, "correct data.columns")
    scores = {key: key for key in ("pos_scores", "neg_scores") if key in present and "score" not in columns}
    return Roles(
        columns["query"],
        tuple(several["positive"]),
        tuple(several.get("negative", ())),
        score=columns.get("score"),
        positive_scores=scores.get("pos_scores"),
        negative_scores=scores.get("neg_scores"),
        prompt=columns.get("prompt"),
    )


@lru_cache(maxsize=256)
def plain(present: tuple[str, ...]) -> Roles:
    """Recognise the names of sentence-transformers and FlagEmbedding; raises `BadRow` without query or positive."""
    query = next((key for key in QUERY if key in present), None)
    positives = tuple(key for key in present if POSITIVE.fullmatch(key))
    if query is None or not positives:
        some = query is not None or bool(positives)  # with neither it is the table that is different, not the row
        lacks = "query" if query is None else "positive"
        raise BadRow("missing field", f"no {lacks} field (there are: {listed(present)})", LAYOUT, some)
    has = {key: key for key in ("pos_scores", "neg_scores", "prompt") if key in present}
    score = _score(present)
    return Roles(
        query,
        positives,
        tuple(key for key in present if NEGATIVE.fullmatch(key.lower())),
        score=score,
        positive_scores=has.get("pos_scores"),
        negative_scores=has.get("neg_scores"),
        prompt=has.get("prompt"),
        labels=(score or "").lower() in ("label", "labels"),  # what is called positive is, whatever its score
    )


def recognised(row: Mapping[str, Any]) -> Roles | None:
    """Recognise a published layout, or usual names, by one row; None for what `plain` reads and for unknown layouts.

    Tevatron's lists of passages, its newer lists of document ids, DPR's contexts; then one usual name for each side;
    else two columns of text, the first of which is the query.
    """
    present = tuple(map(str, row))
    if "positive_passages" in present:
        negative = tuple(key for key in ("negative_passages",) if key in present)
        return Roles(_first(present, "query", "query_text", "question"), ("positive_passages",), negative)
    if "positive_document_ids" in present:
        negative = tuple(key for key in ("negative_document_ids",) if key in present)
        query = _first(present, "query_text", "query", "question")
        return Roles(query, ("positive_document_ids",), negative, by_id=True)
    if "positive_ctxs" in present:
        negative = tuple(key for key in ("hard_negative_ctxs",) if key in present)
        other = tuple(key for key in ("negative_ctxs",) if key in present)
        return Roles(_first(present, "question", "query"), ("positive_ctxs",), negative, other, may_lack=True)
    try:
        plain(present)
    except BadRow:
        pass
    else:
        return None
    return usual(row, present)


def usual(row: Mapping[str, Any], present: tuple[str, ...]) -> Roles | None:
    """Recognise one usual name for each side, or two columns of text in order; None where that is not clear."""
    score = _score(present)
    prompt = "prompt" if "prompt" in present else None
    query, positive = _only(present, QUERIES), _only(present, (*POSITIVES, "positive", "positives", "pos"))
    negatives = tuple(key for key in present if NEGATIVE.fullmatch(key.lower()))
    if query is None or positive is None:
        texts = [key for key in present if not ASIDE.fullmatch(key) and key != score and _is_text(row[key])]
        if len(texts) != 2 or any(len(key) > LONGEST_NAME for key in present) or negatives:
            return None
        query, positive = texts
        if query in POSITIVES and positive in QUERIES:
            query, positive = positive, query
    return Roles(query, (positive,), negatives, score=score, prompt=prompt)


def _first(present: tuple[str, ...], *names: str) -> str:
    found = next((name for name in names if name in present), None)
    if found is None:
        raise BadRow("missing field", f"no field {names[0]!r} (there are: {listed(present)})", f"add {names[0]!r}")
    return found


def _score(present: tuple[str, ...]) -> str | None:
    """The column with labels or scores; raises `BadRow` for several without an order."""
    found = [key for key in present if key.lower() in SCORES]
    for names in FIRST if len(found) > 1 else ():
        if first := [key for key in found if key.lower() in names]:
            found = first
            break
    if len(found) > 1:
        what = f"{' and '.join(found)} may both say which documents are positives"
        mend = "leave one out, or say which, as in 'data.columns={query: FIELD, positive: FIELD, score: FIELD}'"
        raise BadRow("several scores", what, mend, in_one_row=False)
    return found[0] if found else None


def _only(present: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """The column with a usual name, if it is the only one; else None."""
    usual_names = {name.lower() for name in names}
    found = [key for key in present if key.lower() in usual_names]
    return found[0] if len(found) == 1 else None


def is_known(name: str) -> bool:
    """Whether a cell is a recognised column name, alone or after a word or two: Customer question."""
    words = name.lower().split()
    if not 0 < len(words) <= MOST_WORDS:
        return False
    last = words[-1]
    return is_usual(last) or ASIDE.fullmatch(last) is not None


def is_usual(name: str) -> bool:
    """Whether a cell is, as a whole, a recognised name of a column that is trained on."""
    usual_names = {one.lower() for one in (*QUERIES, *POSITIVES, *SCORES, "title")}
    return name.lower() in usual_names or any(one.fullmatch(name.lower()) for one in (POSITIVE, NEGATIVE))


def is_number(text: str) -> bool:
    """Whether a cell is a number, and so no text of a query or document."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not is_number(value)
