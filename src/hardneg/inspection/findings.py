"""The findings of a report that deserve a look, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hardneg.data.readers.lines import bad_rows

CUT = 0.05  # the largest share of texts that the encoder's own length may cut
NOTHING = 0.05  # the largest share of queries for which BM25 may find nothing
LEXICAL = 0.9  # above this share of queries with a positive in BM25's first ten, words alone do
NEAR = 0.01  # the largest share of queries that may have unlabelled documents like their positive


def findings(report: dict[str, Any]) -> list[str]:
    """Say in sentences what may spoil training or its results; empty if nothing does."""
    return [says for look in (_rows, _splits, _texts, _lengths, _bm25, _near_copies) for says in look(report)]


def _rows(report: dict[str, Any]) -> Iterator[str]:
    rows, first = report["left_out"]["rows"], report["left_out"]["first"]
    rows = {reason: n for reason, n in rows.items() if n}
    if rows:
        begins = f"; the first: {first}" if first else ""
        yield f"left out: {bad_rows(rows)}; mend what is wrong, or train without{begins}"


def _splits(report: dict[str, Any]) -> Iterator[str]:
    if "train" not in report["splits"]:
        yield f"there is no split train, only {', '.join(report['splits'])}: a set to rank, not to train on"
    for pair in report["leaks"]:
        first, second = pair["splits"]
        asked, same = pair["also_asked_in_first"], pair["by_the_same_id"]
        if not asked or {first, second}.isdisjoint(("train", "test")):
            continue
        what = f"{asked:,} of {pair['queries']:,} {second} queries are in {first} too"
        if same == asked == pair["queries"]:
            yield f"{what} by the same ids, as users are: what they have is not ranked with evaluate.leave_out={first}"
        else:
            yield f"{what}: take them out of one of the two, or results on {second} are those of memory"


def _texts(report: dict[str, Any]) -> Iterator[str]:
    for side, key in (("document", "documents"), ("query", "queries")):
        if n := report["empty"][side]["texts"]:
            yield f"{key} without any text: {n:,}; take out what is empty"
    if n := report["duplicates"]["document"]["texts"]:
        yield (
            f"documents that are copies of others: {n:,}; a copy of a positive is not a negative"
            " (filter=known_positives, which is on, sees copies that differ in outer blanks alone), and"
            " filter=duplicates draws each text once"
        )
    same = report["queries_that_are_documents"]
    if same["queries"] > same["own"]:
        n = same["queries"] - same["own"]
        yield f"queries that are a document word for word: {n:,}; it ranks first for them, and is not a negative"


def _lengths(report: dict[str, Any]) -> Iterator[str]:
    for side, plural in (("query", "queries"), ("document", "documents")):
        told = report["lengths"][side]
        if told["cut_at_max_length"] > CUT:
            yield (
                f"{told['cut_at_max_length']:.0%} of the {plural} are cut at encoder.{side}.max_length="
                f"{told['max_length']}; {told['fits']} cuts {told['cut'][str(told['fits'])]:.0%}"
            )


def _bm25(report: dict[str, Any]) -> Iterator[str]:
    splits = report["bm25"]["splits"]
    name = "train" if "train" in splits else next(iter(splits), None)
    if name is None:
        return
    told = splits[name]
    if told["nothing"] > NOTHING:
        yield (
            f"BM25 finds nothing at all for {told['nothing']:.0%} of the {name} queries: are they of another language"
            " or kind than the documents? See negatives.bm25.tokens, language, stopwords; or take strategy=mined"
        )
    if told["top10"] > LEXICAL:
        yield (
            f"BM25 has a positive of {told['top10']:.0%} of the {name} queries among its first ten: words alone nearly"
            " do, so compare what you train with BM25 (the final table does)"
        )


def likely_false_negatives(report: dict[str, Any]) -> bool:
    """Whether enough queries have unlabelled documents much like a positive for a filter to be due."""
    near = report["near_copies"]
    return bool(near["with_near_copies"] > NEAR * near["queries"])


def _near_copies(report: dict[str, Any]) -> Iterator[str]:
    near = report["near_copies"]
    if likely_false_negatives(report):
        yield (
            f"{near['with_near_copies']:,} of {near['queries']:,} queries have unlabelled documents that are much like"
            " a positive, likely false negatives: mine with filter=[known_positives,duplicates,relative_margin] or a"
            " teacher (filter=teacher_score), and estimate what gets through by hardneg probe"
        )
