"""A report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console

from hardneg.inspection.lengths import USUAL
from hardneg.system.counts_in_words import QUERIES, counted
from hardneg.system.one_line import one_line
from hardneg.system.terminal_tables import console_at, laid_out, print_title

LONGEST, SHORTEST = 80, 20  # characters of an example
Table = tuple[list[str], list[list[str]], Sequence[int]]  # headings, rows, and which columns are words
SIDES = (("query", "queries"), ("document", "documents"))


def show(report: dict[str, Any], console: Console | None = None) -> None:
    """Print the report, what deserves a look, and last the command on lines of its own."""
    console = console or console_at(120)
    about = report["data"]
    holds = f"{counted(about['documents'], 'document')}, {counted(about['queries'], *QUERIES)}"
    _line(console, f"{about['name']}: {holds}{_more(about)}")
    _columns(console, report.get("read_as"))
    for part in (_splits, _positives, _lengths, _bm25):
        _print(console, *part(report))
    _texts(console, report)
    _near_copies(console, report)
    _line(console, "\nWorth a look:" if report["findings"] else "\nNothing looks wrong.")
    for says in report["findings"]:
        _line(console, f"- {says}")
    _line(console, "\nTrain on it:" if report["words"][1] == "train" else "\nRank it with a trained model:")
    console.print(report["command"], soft_wrap=True, highlight=False, markup=False)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False)


def _more(about: dict[str, Any]) -> str:
    more = f"; sets: {', '.join(about['sets'])}" if about["sets"] else ""
    if about["given_negatives"] is not None:
        more += f"; {counted(about['given_negatives'], 'given negative')}"
    more += "; given scores (loss=kl, loss=margin_mse)" if about["given_scores"] else ""
    return more + (f"; prompt of the queries: {about['query_prompt']!r}" if about["query_prompt"] else "")


def _columns(console: Console, read: dict[str, Any] | None) -> None:
    """Which column is what, and the first pair."""
    if read is None:
        return
    columns = "; ".join(f"{role}: {', '.join(names)}" for role, names in read["columns"].items())
    guessed = ", guessed by their order (data.columns={query: NAME, positive: NAME} says otherwise)"
    _line(console, f"columns are read as {columns}{guessed if read['guessed'] else ''}")
    for role in ("query", "positive"):
        _example(console, f"  {role:<9}", str(read[role]))


def _print(console: Console, title: str, table: Table) -> None:
    """Print a table below its title."""
    headings, rows, words = table
    print_title(console, title, style="bold")
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
    for drawn in laid_out(headings, rows, console.width, words, **look):
        console.print(drawn)


def _splits(report: dict[str, Any]) -> tuple[str, Table]:
    rows = []
    for name, told in report["splits"].items():
        grades = ", ".join(f"{grade}: {n:,}" for grade, n in list(told["grades"].items())[:6])
        numbers = [f"{told[key]:,}" for key in ("queries", "judgements", "relevant_documents")]
        rows.append([name, *numbers, f"{told['positives_per_query']['mean']:.1f}", grades])
    headings = ["split", "queries", "judgements", "relevant docs", "positives each", "grades"]
    return "Splits", (headings, rows, (0, len(headings) - 1))


def _positives(report: dict[str, Any]) -> tuple[str, Table]:
    counts = {name: told["positives_per_query"]["queries_with"] for name, told in report["splits"].items()}
    steps = list(next(iter(counts.values())))
    rows = [[name, *(f"{told[step]:,}" for step in steps)] for name, told in counts.items()]
    return "Queries that have 1, 2, ... positives", (["split", *steps], rows, (0,))


def _lengths(report: dict[str, Any]) -> tuple[str, Table]:
    rows = []
    for side, plural in SIDES:
        told = report["lengths"][side]
        sampled = "" if told["measured"] == told["of"] else f" ({told['measured']:,} drawn)"
        numbers = [f"{told[key]:.0f}" for key in ("median", "p90", "p99", "max")]
        cuts = [f"{told['cut'][str(at)]:.1%}" for at in USUAL]
        rows.append([plural + sampled, *numbers, *cuts, str(told["fits"])])
    headings = ["", "50%", "90%", "99%", "longest", *(f">{at}" for at in USUAL), "fits"]
    title = f"Tokens of encoder={report['encoder']}; on the right, the share cut at 32, 64 ..."
    return title, (headings, rows, (0,))


def _bm25(report: dict[str, Any]) -> tuple[str, Table]:
    told = report["bm25"]
    among = "" if told["documents"] == told["of"] else f", among {told['documents']:,} of {told['of']:,} documents"
    rows = [
        [
            name,
            f"{split['queries']:,} of {split['of']:,}",
            *(f"{split[key]:.1%}" for key in ("top10", "top100", "nothing")),
        ]
        for name, split in told["splits"].items()
    ]
    headings = ["split", "queries asked", "positive in top 10", "in top 100", "finds nothing"]
    return f"BM25{among}", (headings, rows, (0,))


def _texts(console: Console, report: dict[str, Any]) -> None:
    console.print("Texts", style="bold")
    for side, plural in SIDES:
        shares = ", ".join(f"{name} {share:.1%}" for name, share in list(report["scripts"][side].items())[:5])
        _line(console, f"scripts of {plural}: {shares or 'no letters'}")
    for side, plural in SIDES:
        copies, empty = report["duplicates"][side], report["empty"][side]["texts"]
        told = f"{counted(copies['texts'], 'copy', 'copies')} of {counted(copies['groups'], 'other')}"
        _line(console, f"{plural}: {told}, {empty:,} empty")
        for one in copies["examples"]:
            _example(console, f"  {one['times']}x {', '.join(one['ids'])}: ", one["text"])
    same = report["queries_that_are_documents"]
    _line(console, f"queries that are a document word for word: {same['queries']:,}")
    for one in same["examples"]:
        _example(console, f"  {one['query']} = {one['document']}: ", one["text"])
    for pair in report["leaks"]:
        first, second = pair["splits"]
        asked, known = pair["also_asked_in_first"], pair["with_a_positive_of_first"]
        of = f"of {counted(pair['queries'], f'{second} query', f'{second} queries')}"
        _line(console, f"{of}: {asked:,} are in {first} too, {known:,} have a positive that is one in {first}")
        for one in pair["examples"]:
            _example(console, f"  {one['id']}: ", one["text"])


def _near_copies(console: Console, report: dict[str, Any]) -> None:
    near = report["near_copies"]
    console.print("\nLikely false negatives", style="bold")
    if not near["with_near_copies"]:
        common = f"{near['alike_from']:.0%} of word pairs or more in common with a positive of its query"
        _line(console, f"none found: no unlabelled document has {common} (queries looked at: {near['queries']:,})")
        return
    _line(
        console,
        f"{near['with_near_copies']:,} of {counted(near['queries'], *QUERIES)} have unlabelled documents much like a"
        " positive,"
        f" with {near['alike_from']:.0%} of word pairs or more in common: {counted(near['documents'], 'document')},"
        f" {near['word_for_word']:,} of them the same word for word",
    )
    for one in near["examples"]:
        _example(console, f"  {one['query']['id']}: ", one["query"]["text"])
        _example(console, f"    positive {one['positive']['id']}: ", one["positive"]["text"])
        name = f"{one['alike']:.0%} alike {one['not_labelled']['id']}"
        _example(console, f"    {name}: ", one["not_labelled"]["text"])


def _example(console: Console, before: str, text: str) -> None:
    """Print as much of a text as a line has room for behind what names it."""
    room = max(min(LONGEST, console.width - len(before)), SHORTEST)
    _line(console, before + one_line(text, room, " ..."))
