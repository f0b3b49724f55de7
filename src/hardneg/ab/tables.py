"""The tables of an A/B report as text, the same for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hardneg.ab.effects import Effect
from hardneg.ab.gained_lost import Move
from hardneg.ab.report import SHOWN_HOLES, Report, WorsenedQuery
from hardneg.system.counts_in_words import QUERIES, counted

LONGEST = 240  # characters of a document that are shown


@dataclass(frozen=True)
class ReportTable:
    """A heading, the names of its columns, its rows, and a note for reading it; `words`: its columns of words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: tuple[int, ...] = (0,)


def tables(report: Report) -> Iterator[ReportTable]:
    """Yield the tables in the order of the report; slices and interleaving only where there are any."""
    unit = "queries" if report.effect.difference.queries == len(report.judged.ids) else "clusters of queries"
    yield ReportTable(
        "Difference, paired by query",
        ("metric", "old", "new", "new - old, 95% interval", "win / tie / loss"),
        tuple((one.name, *_cells(one)) for one in report.effects),
        f"Over {report.effect.difference.queries} {unit}, taken as random; tied within {report.plan.tie:g}.",
    )
    yield _results(report)
    if report.slices:
        yield ReportTable(
            f"Slices, {report.effect.name}",
            ("slice", "queries", "old", "new", "new - old, 95% interval", "win / tie / loss"),
            tuple((one.name, str(one.queries), *_cells(one)) for one in report.slices),
            "Words in the document: the share of a query's words that its relevant document holds."
            * any(one.name.startswith("words in the document") for one in report.slices),
        )
    if report.interleaved is not None:
        yield _interleaving(report)


def _results(report: Report) -> ReportTable:
    changes, k = report.changes, report.plan.k
    rows = [
        (f"relevant documents lost from the first {k}", str(len(changes.lost)), f"{changes.lost_share:.1%} of queries"),
        ("relevant documents gained", str(len(changes.gained)), f"{changes.gained_share:.1%} of queries"),
        (f"results in common among the first {k}", f"{report.common:.1%}", ""),
        ("rank-biased overlap (p = 0.9)", f"{report.rbo.mean():.3f}", f"lowest {report.rbo.min():.3f}"),
        (f"unjudged@{SHOWN_HOLES}", f"{report.unjudged[0]:.1%} old", f"{report.unjudged[1]:.1%} new"),
    ]
    return ReportTable("Results", ("", "", ""), tuple(rows))


def _interleaving(report: Report) -> ReportTable:
    seen = report.interleaved
    assert seen is not None
    low, high = seen.difference.interval()
    counts = f"{seen.new} / {seen.ties} / {seen.old}"
    row = (f"{seen.difference.mean:+z.4f} [{low:+z.4f}, {high:+z.4f}]", counts, str(seen.without_click))
    note = (
        f"{seen.source[0].upper()}{seen.source[1:]}. The preference is (wins + ties / 2) / (wins + losses + ties) -"
        f" 0.5: above 0 users preferred the new one. Lists of one {seen.unit} count as one draw."
    )
    header = ("preference for new, 95% interval", "win / tie / loss", "lists without a click")
    return ReportTable("Interleaving (team draft)", header, (row,), note, words=())


def _cells(effect: Effect) -> tuple[str, ...]:
    return f"{effect.old:.4f}", f"{effect.new:.4f}", effect.in_words, " / ".join(map(str, effect.wins))


def headline(report: Report) -> str:
    """Say in one line what came out."""
    asked = counted(len(report.judged.ids), *QUERIES)
    return f"{report.verdict} in {report.effect.name}: {report.effect.in_words} on {asked}"


def gate(report: Report) -> str:
    """Say in one line what the gate decides; empty without limits."""
    if report.passed is None:
        return ""
    return "gate: passed" if report.passed else "gate: NOT passed"


def moved(move: Move) -> str:
    """The old and new rank of a document."""
    return "rank " + " -> ".join("not found" if place is None else str(place) for place in (move.old, move.new))


def excerpt(text: str | None) -> str:
    """The beginning of a text in one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rsplit(' ', 1)[0]} ..."


def shown(example: WorsenedQuery, report: Report, texts: bool) -> dict[str, object]:
    """An example for people: the query, its values, what it lost and what comes first now; texts if they are wanted."""
    docs = report.judged.docs if texts else {}
    query = excerpt(report.judged.queries.get(example.query)) if texts else ""
    lost = [{"doc": move.doc, "moved": moved(move), "text": excerpt(docs.get(move.doc))} for move in example.lost]
    first = None
    if example.first is not None:
        first = {"doc": example.first, "text": excerpt(docs.get(example.first))}
        first["relevant"] = "relevant" if example.first in report.judged.relevant[example.query] else ""
    return {
        "id": example.query,
        "query": query,
        "change": f"{report.effect.name} {example.old:.3f} -> {example.new:.3f}",
        "lost": lost,
        "first": first,
    }
