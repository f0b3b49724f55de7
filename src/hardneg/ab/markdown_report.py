"""The report as Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hardneg.ab.report import Report
from hardneg.ab.tables import ReportTable, gate, headline, shown, tables
from hardneg.system.markdown_table import markdown_table


def markdown(report: Report, texts: bool = True) -> str:
    """Write the whole report; texts cannot become markup."""
    return "\n".join(_lines(report, texts)) + "\n"


def _lines(report: Report, texts: bool) -> Iterator[str]:
    yield f"# A/B: `{report.new}` against `{report.old}`"
    yield from ("", f"**{headline(report)}**, judged by {escaped(report.judged.name)}.", "")
    if gate(report):
        yield f"**{gate(report)}**"
        yield from (f"- {escaped(reason)}" for reason in report.reasons)
        yield ""
    for table in tables(report):
        yield from _table(table)
    if report.examples:
        yield from ("## Queries that lost most", "")
        for example in report.examples:
            yield from _example(shown(example, report, texts))
        yield ""
    yield from ("## Notes", "")
    yield from (f"- {escaped(note)}" for note in report.notes)


def _table(table: ReportTable) -> Iterator[str]:
    yield from (f"## {table.title}", "")
    yield from markdown_table(table.header, [[escaped(cell) for cell in row] for row in table.rows], numbers=True)
    yield ""
    if table.note:
        yield from (table.note, "")


def _example(example: dict[str, Any]) -> Iterator[str]:
    yield f"- **{escaped(example['query'] or example['id'])}** ({escaped(example['id'])}): {example['change']}"
    for one in example["lost"]:
        yield f"  - lost, {one['moved']}: `{one['doc']}` {escaped(one['text'])}".rstrip()
    if first := example["first"]:
        relevant = ", relevant" if first["relevant"] else ""
        yield f"  - first now{relevant}: `{first['doc']}` {escaped(first['text'])}".rstrip()


def escaped(text: str) -> str:
    """Put a backslash before what Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", text)
