"""The tables of a comparison: for the terminal, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hardneg.compare.comparison import Comparison, Contrast, Row
from hardneg.compare.notes import freedom
from hardneg.compare.power import detectable
from hardneg.compare.statistics import ALPHA
from hardneg.system.terminal_tables import console_at, least_width, print_title

WIDTH = 180  # of a pipe or a log file, which have no width: names must not be cut to 80 columns there
SECOND = ("seeds", "SD", "df", "p", "win / tie / loss", "dz")
THIRD = (*SECOND, "on seeds x queries", "on seeds x clusters")
LEFT_OUT = ((), SECOND, THIRD, (*THIRD, "p not worse", "p equivalent"))  # of ever narrower terminals
BREAKS = {
    "difference and 95% interval": "difference\nand 95% interval", "p not worse": "p not\nworse",
    "p equivalent": "p equi-\nvalent", "win / tie / loss": "win / tie\n/ loss",
    "on seeds x queries": "on seeds\nx queries", "on seeds x clusters": "on seeds\nx clusters",
}  # fmt: skip


def header(table: Comparison) -> list[str]:
    """The columns; those of the margin only where there is one."""
    margin = ["p not worse", "p equivalent"] if table.plan.margin is not None else []
    unit = "queries" if table.plan.clusters is None else "clusters"
    tested = ["df", "p", "p Holm", *margin, "win / tie / loss", "dz", f"on seeds x {unit}", "verdict"]
    return ["arm", "seeds", "mean", "SD", "difference and 95% interval", *tested]


def cells(row: Row, table: Comparison) -> list[str]:
    """One row, as text."""
    out = [row.arm, str(len(row.seeds)), f"{row.mean:.4f}", number(row.spread, ".4f")]
    return out + (_tested(row.contrast, table) if row.contrast else [""] * (len(header(table)) - len(out)))


def _tested(contrast: Contrast, table: Comparison) -> list[str]:
    d = contrast.difference
    low, high = d.interval()
    p = [d.p, contrast.p_holm]
    if table.plan.margin is not None:
        p += [contrast.p_not_worse, contrast.p_equivalent]
    return [
        f"{d.mean:+.4f} [{low:+.4f}, {high:+.4f}]",
        freedom(d.freedom),
        *(number(value if contrast.tested else None, ".2g") for value in p),
        "" if contrast.wins is None else " / ".join(map(str, contrast.wins)),
        number(contrast.dz, "+.2f"),
        f"{d.seeds} x {d.queries}" if d.queries else f"{d.seeds} seeds only",
        contrast.verdict,
    ]


def number(value: float | None, form: str) -> str:
    """Write a number; empty where there is none, such as the SD of one seed."""
    return "" if value is None or math.isnan(value) else f"{value:{form}}"


def title(table: Comparison) -> str:
    """Name data set, metric and baseline."""
    over = f", mean of {table.sets} sets" if table.sets else ""
    return f"{table.data}: test {table.plan.metric}{over}, against {table.baseline}"


def legend(table: Comparison, left_out: Sequence[str] = ()) -> str:
    """Say what the columns are, but for those that are left out."""
    plan, primary = table.plan, sum(contrast.primary for contrast in table.contrasts.values())
    unit = "query" if plan.clusters is None else "cluster of queries"
    said = "" if "SD" in left_out else "SD: between seeds. "
    said += f"Differences paired by seed and {unit}, both random; intervals not corrected."
    said += " Seed variance pooled over the arms, or an arm's own where larger"
    said += "." if "df" in left_out else "; df: Satterthwaite's."
    said += f" p Holm: over the {primary} primary contrasts of this table."
    if len(table.contrasts) > primary:
        said += " Arms without it are exploratory."
    if plan.margin is not None:
        said += f" Margin {plan.margin:g}, by one-sided tests (TOST), corrected likewise."
    if "dz" not in left_out:
        said += f" Win / tie / loss: queries, tied within {plan.tie:g}; dz: mean over SD between queries."
        said += " Both with seeds averaged."
    return said if plan.baseline else f"{said} No --baseline was named, so {table.baseline} was taken."


def show(table: Comparison) -> None:
    """Print to the terminal, with as many columns as it has room for: --markdown and --csv always have all of them."""
    console = console_at(max(WIDTH, least_width(_drawn(table, ()))))
    for left_out in LEFT_OUT:
        drawn = _drawn(table, left_out)
        if least_width(drawn) <= console.width:
            break
    print_title(console, title(table), "bold")
    console.print(drawn)
    console.print(Text(legend(table, left_out), style="dim"))
    if missing := [name for name in header(table) if name in left_out]:
        said = f"Too wide for this terminal: {', '.join(missing)}; --markdown FILE has all columns."
        console.print(Text(said, style="dim"))
    for note in table.notes:
        console.print(Text(f"! {note}", style="bold red" if note.startswith("ONE SEED") else "yellow"))
    console.print()


def _drawn(table: Comparison, left_out: Sequence[str]) -> Table:
    names = [name for name in header(table) if name not in left_out]
    rows = [dict(zip(header(table), cells(row, table), strict=True)) for row in table.rows]
    drawn = Table(box=box.SIMPLE_HEAD)
    for name in names:
        folds = name in ("arm", "verdict")
        head = BREAKS.get(name, name)
        lines = [*head.split("\n"), *(row[name] for row in rows)]
        width = {"arm": 16 if left_out else 34, "verdict": 10}.get(name, max(map(len, lines)))
        drawn.add_column(
            head, justify="left" if folds else "right", no_wrap=not folds, overflow="fold", min_width=width
        )
    for row, shown in zip(table.rows, rows, strict=True):
        drawn.add_row(*(Text(shown[name]) for name in names), style=_style(row))
    return drawn


def _style(row: Row) -> str:
    if row.contrast is None:
        return "bold"
    return "dim" if not row.contrast.primary else ""


def markdown(table: Comparison) -> str:
    """Return a table with its legend and notes."""
    names = header(table)
    lines = [f"**{title(table)}**", "", line(names), "|" + " --- |" * len(names)]
    lines += [line(cells(row, table)) for row in table.rows]
    lines += ["", legend(table), ""]
    return "\n".join(lines + [f"- {note}" for note in table.notes] + [""] * bool(table.notes))


def line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def records(tables: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return one dictionary an arm, data set and metric: all numbers of a comparison, for a data frame."""
    return [
        {"data": t.data, "metric": t.plan.metric, "baseline": t.baseline, **_record(row, t)}
        for t in tables
        for row in t.rows
    ]


def comma_separated(tables: Sequence[Comparison]) -> str:
    """Return one line an arm, data set and metric, all digits."""
    rows = records(tables)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _record(row: Row, table: Comparison) -> dict[str, Any]:
    out: dict[str, Any] = {"arm": row.arm, "seeds": len(row.seeds), "mean": row.mean, "sd": row.spread}
    if row.contrast is None:
        return out
    contrast, d = row.contrast, row.contrast.difference
    low, high = d.interval()
    won, tied, lost = contrast.wins or (None, None, None)
    p = {"p": d.p, "p_holm": contrast.p_holm}
    p |= {"p_not_worse": contrast.p_not_worse, "p_equivalent": contrast.p_equivalent}
    return out | {
        "difference": d.mean, "low": low, "high": high, "standard_error": d.error, "df": d.freedom,
        **{name: value if contrast.tested else None for name, value in p.items()},
        "primary": contrast.primary, "verdict": contrast.verdict,
        "wins": won, "ties": tied, "losses": lost, "dz": contrast.dz,
        "paired_seeds": d.seeds, "paired_units": d.queries,
        "unit": "query" if table.plan.clusters is None else "cluster",
        "detectable": detectable(d, table.alpha if contrast.primary else ALPHA),
        "alpha": table.alpha if contrast.primary else ALPHA, "df_seeds": d.seed_freedom,
        "variance_seed": d.components.seed, "variance_query": d.components.query, "variance_rest": d.components.rest,
    }  # fmt: skip
