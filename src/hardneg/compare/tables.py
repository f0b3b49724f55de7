"""The tables of a comparison: for the terminal, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.text import Text

from hardneg.compare.comparison import ArmRow, Comparison, Contrast
from hardneg.compare.notes import freedom
from hardneg.compare.p_values import written
from hardneg.compare.power import detectable
from hardneg.system.markdown_table import markdown_table
from hardneg.system.terminal_tables import console_at, laid_out, least_width, print_title, whole_width

WIDTH = 180  # of a pipe or a log file, which have no width: names must not be cut to 80 columns there
NAME = 34  # columns of a name in one line: before it is broken to fewer, columns of numbers are left out
SECOND = ("seeds", "SD", "df", "p", "win / tie / loss", "dz")
THIRD = (*SECOND, "on seeds x queries", "on seeds x clusters")
LEFT_OUT = ((), SECOND, THIRD, (*THIRD, "p not worse", "p equivalent"))  # of ever narrower terminals


def header(table: Comparison) -> list[str]:
    """The columns; those of the margin only where there is one."""
    margin = ["p not worse", "p equivalent"] if table.plan.margin is not None else []
    unit = "queries" if table.plan.clusters is None else "clusters"
    tested = ["df", "p", "p Holm", *margin, "win / tie / loss", "dz", f"on seeds x {unit}", "verdict"]
    return ["arm", "seeds", "mean", "SD", "difference and 95% interval", *tested]


def cells(row: ArmRow, table: Comparison) -> list[str]:
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
        f"{d.mean:+z.4f} [{low:+z.4f}, {high:+z.4f}]",
        freedom(d.freedom),
        *(written(value) if contrast.tested and value is not None else "" for value in p),
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
    names = header(table)
    rows = [[Text(cell, style=_style(row)) for cell in cells(row, table)] for row in table.rows]
    console = console_at(max(WIDTH, whole_width(names, rows)))
    for left_out in LEFT_OUT:
        kept = [place for place, name in enumerate(names) if name not in left_out]
        headings, shown = [names[place] for place in kept], [[row[place] for place in kept] for row in rows]
        words = (0, len(kept) - 1)
        if least_width(headings, shown, words, NAME) <= console.width:
            break
    print_title(console, title(table), "bold")
    for drawn in laid_out(headings, shown, console.width, words, box=box.SIMPLE_HEAD):
        console.print(drawn)
    console.print(Text(legend(table, left_out), style="dim"))
    if missing := [name for name in names if name in left_out]:
        said = f"Too wide for this terminal: {', '.join(missing)}; --markdown FILE has all columns."
        console.print(Text(said, style="dim"))
    for note in table.notes:
        console.print(Text(f"! {note}", style="bold red" if note.startswith("ONE SEED") else "yellow"))
    console.print()


def _style(row: ArmRow) -> str:
    if row.contrast is None:
        return "bold"
    return "dim" if not row.contrast.primary else ""


def markdown(table: Comparison) -> str:
    """Return a table with its legend and notes."""
    rows = markdown_table(header(table), [cells(row, table) for row in table.rows])
    lines = [f"**{title(table)}**", "", *rows, "", legend(table), ""]
    return "\n".join(lines + [f"- {note}" for note in table.notes] + [""] * bool(table.notes))


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


def _record(row: ArmRow, table: Comparison) -> dict[str, Any]:
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
        "detectable": detectable(d, table.alpha(contrast)), "alpha": table.alpha(contrast), "df_seeds": d.seed_freedom,
        "variance_seed": d.components.seed, "variance_query": d.components.query, "variance_rest": d.components.rest,
    }  # fmt: skip
