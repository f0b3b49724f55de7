"""The table over several data sets, for the terminal, Markdown and LaTeX."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hardneg.compare.across_sets import BETTER, MEAN, WORSE, Across, caption, texts
from hardneg.compare.tables import WIDTH, escaped, line

DAGGERS = {BETTER: r"$^{\dagger}$", WORSE: r"$^{\ddagger}$"}


def show(table: Across) -> None:
    """Print to the terminal."""
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    drawn = Table(title=f"all sets: test {table.metric}", title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    drawn.add_column("arm", overflow="fold")
    for name in (*table.columns, MEAN):
        drawn.add_column(name, overflow="fold", justify="right")
    for row in texts(table):
        drawn.add_row(
            row[0], *(Text(cell, style="bold" * best) for cell, best in zip(row[1:], _best(table, row[0]), strict=True))
        )
    console.print(drawn)
    console.print(Text(caption(table), style="dim"))
    for note in table.notes:
        console.print(Text(f"! {note}", style="yellow"))
    console.print()


def markdown(table: Across) -> str:
    """Return the table with its caption and notes."""
    names = ["arm", *table.columns, MEAN]
    lines = [f"**All sets: test {table.metric}**", "", line(names), "|" + " --- |" * len(names)]
    for row in texts(table):
        cells = [f"**{cell}**" if best else cell for cell, best in zip(row[1:], _best(table, row[0]), strict=True)]
        lines.append(line([row[0], *cells]))
    lines += ["", caption(table), ""]
    return "\n".join(lines + [f"- {note}" for note in table.notes] + [""] * bool(table.notes))


def latex(table: Across) -> str:
    r"""Return a booktabs table to `\input`; its caption says what is tested, and what bold and daggers mean."""
    names = [escaped(name) for name in ("Arm", *table.columns, "Mean")]
    rows = []
    for row in texts(table):
        cells = [_latex_cell(cell, best) for cell, best in zip(row[1:], _best(table, row[0]), strict=True)]
        rows.append(" & ".join([escaped(row[0]), *cells]) + r" \\")
    said = escaped(" ".join([caption(table, "BETTER", "WORSE"), *table.notes]))
    said = said.replace("BETTER", DAGGERS[BETTER], 1).replace("WORSE", DAGGERS[WORSE], 1)
    body = "\n".join(rows)
    return (
        "\\begin{table}\n\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{3pt}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(names) - 2)}@{{\\quad}}r}}\n\\toprule\n{' & '.join(names)} \\\\\n"
        f"\\midrule\n{body}\n"
        f"\\bottomrule\n\\end{{tabular}}\n\\caption{{{said}}}\n\\end{{table}}\n"
    )


def _latex_cell(text: str, best: bool) -> str:
    if not text:
        return "--"
    number, dagger = text.rstrip(BETTER + WORSE), DAGGERS.get(text[-1], "")
    shown = f"{float(number):.3f}"
    return (rf"\textbf{{{shown}}}" if best else shown) + dagger


def _best(table: Across, arm: str) -> list[bool]:
    """Say for each cell of an arm whether it is the highest of its column; of equal ones all are."""
    cells = [table.cell(arm, name) for name in table.columns]
    found = [one is not None and one.mean == table.best(name) for one, name in zip(cells, table.columns, strict=True)]
    return [*found, table.mean(arm) == table.best(None)]
