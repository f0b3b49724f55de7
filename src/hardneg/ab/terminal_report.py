"""The report on the terminal."""

from __future__ import annotations

from rich import box
from rich.text import Text

from hardneg.ab.report import Report
from hardneg.ab.tables import gate, headline, tables
from hardneg.system.terminal_tables import console_at, laid_out, print_title

WIDTH = 150  # of a pipe or a log file, which have none


def show(report: Report) -> None:
    """Print to the terminal."""
    console = console_at(WIDTH)
    console.print(Text(f"old {report.old}\nnew {report.new}\n{headline(report)}", style="bold"))
    for table in tables(report):
        print_title(console, table.title, "bold")
        look = {"box": box.SIMPLE_HEAD, "show_header": any(table.header)}
        for drawn in laid_out(table.header, table.rows, console.width, table.words, **look):
            console.print(drawn)
        if table.note:
            console.print(Text(table.note, style="dim"))
    for note in report.notes:
        console.print(Text(f"! {note}", style="yellow"))
    if said := gate(report):
        console.print(Text(said, style="bold green" if report.passed else "bold red"))
