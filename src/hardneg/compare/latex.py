"""The tables of comparisons, and that over several data sets, for LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hardneg.compare.across_sets import BETTER, WORSE, Across, caption, texts
from hardneg.compare.across_tables import best_cells
from hardneg.compare.comparison import Comparison, Contrast
from hardneg.compare.p_values import written
from hardneg.compare.statistics import ALPHA
from hardneg.compare.tables import legend, number, title

DAGGERS = {BETTER: r"$^{\dagger}$", WORSE: r"$^{\ddagger}$"}
SPECIAL = str.maketrans({
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "&%$#_{}"}, "<": r"$<$", ">": r"$>$", "|": r"$|$",
})  # fmt: skip


def comparisons(tables: Sequence[Comparison]) -> str:
    r"""Return booktabs tables to `\input`; arms are bold where the difference is significant after correction."""
    return "% \\usepackage{booktabs}\n" + "\n".join(map(_comparison, tables))


def _comparison(table: Comparison) -> str:
    margin = table.plan.margin is not None
    names = ["Arm", "Mean", "SD", r"$\Delta$ [95\% interval]", r"$p_\mathrm{Holm}$"]
    names += ([r"$p_\mathrm{equiv}$"] if margin else []) + ["W/T/L", "$d_z$"]
    rows = [
        [_escaped(row.arm), f"{row.mean:.3f}", number(row.spread, ".3f"), *_tested(row.contrast, margin)]
        for row in table.rows
    ]
    return _float(f"l{'r' * (len(names) - 1)}", names, rows, _escaped(f"{title(table)}. {legend(table)}"))


def _tested(contrast: Contrast | None, margin: bool) -> list[str]:
    if contrast is None:
        return [""] * (4 + margin)
    d = contrast.difference
    low, high = (f"{x:+z.3f}" if math.isfinite(x) else rf"{'-' if x < 0 else '+'}\infty" for x in d.interval())
    mean = rf"\mathbf{{{d.mean:+z.3f}}}" if contrast.p < ALPHA else f"{d.mean:+z.3f}"
    p = [contrast.p_holm, *[contrast.p_equivalent] * margin]
    shown = [rf"${mean}$ $[{low}, {high}]$", *(_p(value if contrast.tested else None) for value in p)]
    dz = number(contrast.dz, "+.2f")
    return [*shown, "/".join(map(str, contrast.wins or ())), f"${dz}$" if dz else ""]


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "$<$.001" if p < 0.001 else written(p, digits=3, form="f").removeprefix("0")


def across_sets(table: Across) -> str:
    r"""Return a booktabs table to `\input`; its caption says what is tested, and what bold and daggers mean."""
    names = [_escaped(name) for name in ("Arm", *table.columns, "Mean")]
    rows = [
        [_escaped(row[0]), *(_cell(*cell) for cell in zip(row[1:], best_cells(table, row[0]), strict=True))]
        for row in texts(table)
    ]
    said = _escaped(" ".join([caption(table, "BETTER", "WORSE"), *table.notes]))
    said = said.replace("BETTER", DAGGERS[BETTER], 1).replace("WORSE", DAGGERS[WORSE], 1)
    return _float(f"l{'r' * (len(names) - 2)}@{{\\quad}}r", names, rows, said)


def _cell(text: str, best: bool) -> str:
    if not text:
        return "--"
    written, dagger = text.rstrip(BETTER + WORSE), DAGGERS.get(text[-1], "")
    shown = f"{float(written):.3f}"
    return (rf"\textbf{{{shown}}}" if best else shown) + dagger


def _escaped(text: str) -> str:
    """Return text as LaTeX takes it."""
    return text.translate(SPECIAL)


def _float(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table with its caption."""
    first, *lines = (" & ".join(row) + r" \\" for row in (head, *rows))
    body = "\n".join([first, r"\midrule", *lines])
    return (
        "\\begin{table}\n\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{3pt}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
        f"\\caption{{{caption}}}\n\\end{{table}}\n"
    )
