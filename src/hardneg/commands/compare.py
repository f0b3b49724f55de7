"""hardneg compare: from run folders to an answer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardneg.compare.arguments import query_arguments
from hardneg.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from hardneg.compare.across_sets import Across
    from hardneg.compare.arms import Arm
    from hardneg.compare.comparison import Comparison
    from hardneg.compare.one_run import FinishedRun

EXAMPLES = """examples:
  hardneg compare multirun/first --baseline in_batch-infonce
  hardneg compare multirun/first --metric ndcg@10,recall@100 --margin 0.01 --figures figures --latex tables.tex
  hardneg compare multirun/first --baseline in_batch-infonce --primary in_batch+bm25-infonce --cluster articles.tsv
  hardneg compare nl2bash conala --baseline in_batch-infonce --name in_batch-infonce=in-batch --latex sets.tex
  hardneg compare multirun/first --set conala   # one of several test sets
  hardneg compare wandb          # the runs of W&B's offline logs
"""


def main(arguments: Sequence[str]) -> None:
    """Print a table per data set and metric, and one over several sets; write the files that are asked for."""
    given = _parser().parse_args(arguments)
    metrics = [name for names in given.metric or ["ndcg@10"] for name in names.split(",")]
    _check(given, metrics)
    from hardneg.compare.finished_runs import find

    found = find(given.runs)
    # Only now what needs SciPy's statistics: a folder without runs is told before.
    from hardneg.compare import across_tables
    from hardneg.compare.across_sets import across
    from hardneg.compare.arms import arms, check_measured, rename
    from hardneg.compare.comparison import ComparisonPlan
    from hardneg.compare.contrasts import compare
    from hardneg.compare.tables import show

    for path, reason in found.left_out.items():
        sys.stderr.write(f"left out: {path}: {reason}\n")
    runs = found.runs if given.set is None else _on(found.runs, given.set)
    check_measured(runs, metrics)
    names = sorted({run.summary["data"] for run in runs})
    by_data = rename({data: arms([run for run in runs if run.summary["data"] == data]) for data in names}, given.name)
    grouped = {data: _clusters(given, list(by_arm.values())) for data, by_arm in by_data.items()}
    comparisons, overviews = [], []
    of_data: dict[str, list[Comparison]] = {data: [] for data in names}
    for metric in metrics:
        plans = {
            data: ComparisonPlan(metric, given.baseline, given.primary, given.margin, given.tie, grouped[data])
            for data in names
        }
        wholes = {data: compare(_titled(data, given.set), by_data[data], plan) for data, plan in plans.items()}
        comparisons += list(wholes.values())
        for data, table in wholes.items():
            of_data[data].append(table)
            show(table)
        if (overview := across(by_data, plans, wholes)) is not None:
            overviews.append(overview)
            across_tables.show(overview)
            comparisons += [one for one in overview.columns.values() if all(one is not w for w in wholes.values())]
    _write(given, comparisons, overviews)
    if given.figures is not None:
        from hardneg.compare import figures

        for path in figures.draw(given.figures, given.format, of_data, by_data):
            sys.stdout.write(f"{path}\n")


def _titled(data: str, chosen: str | None) -> str:
    return data if chosen in (None, data) else f"{data} on {chosen}"


def _on(runs: Sequence[FinishedRun], name: str) -> list[FinishedRun]:
    """Look at one of several test sets; what was not tested on it is left out."""
    found = []
    for run in runs:
        if (one := run.on(name)) is None:
            sys.stderr.write(f"left out: {run.folder}: was not tested on {name}\n")
        else:
            found.append(one)
    if not found:
        known = sorted({test for run in runs for test in run.sets or [run.summary["data"]]})
        raise UserError(f"--set {name}: no run was tested on it; there are {', '.join(known)}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg compare",
        description="Compare finished runs: the mean over seeds, and the difference from a baseline, paired by seed"
        " and query, both treated as random.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", type=Path, help="run folders, folders that contain them (a sweep), or a wandb/ folder")
    add("--baseline", metavar="ARM", help="arm to compare with, named as in the table; default: in-batch, or the first")
    add("--set", metavar="NAME", help="compare on one of several test sets; default: their mean, and each of them")
    add(
        "--name",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="rename an arm in everything printed and written",
    )
    add("--metric", action="append", help="test metrics, with commas or repeated (default: ndcg@10)")
    add(
        "--primary", nargs="+", default=[], metavar="ARM", help="arms to correct for (Holm); the others are exploratory"
    )
    add("--margin", type=float, help="smallest difference of interest: also test non-inferiority and equivalence")
    query_arguments(parser, "positive document")
    add("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    add("--latex", type=Path, metavar="FILE", help="write them as LaTeX (booktabs)")
    add("--csv", type=Path, metavar="FILE", help="write all numbers, one line per arm")
    add("--figures", type=Path, metavar="DIR", help="draw intervals, learning curves, sources and scores")
    add("--format", choices=("png", "svg", "pdf"), default="png", help="format of the figures (default: %(default)s)")
    return parser


def _check(given: argparse.Namespace, metrics: Sequence[str]) -> None:
    if given.margin is not None and not given.margin > 0:  # also of nan
        raise UserError(f"--margin {given.margin}: must be above 0; it is the smallest difference that matters")
    if not given.tie >= 0:
        raise UserError(f"--tie {given.tie}: must be 0 or more")
    if len(set(metrics)) < len(metrics):
        raise UserError(f"--metric {','.join(metrics)}: a metric is named twice")


def _clusters(given: argparse.Namespace, by_arm: Sequence[Arm]) -> np.ndarray | None:
    """Number the cluster of each test query; None where queries are the unit."""
    if given.cluster is None and not given.cluster_positives:
        return None
    from hardneg.compare import clusters

    runs = [run for arm in by_arm for run in arm.runs.values() if run.per_query is not None]
    if not runs:
        raise UserError("no run has per-query values, so there is nothing to cluster")
    ids = runs[0].per_query.ids  # type: ignore[union-attr]
    if given.cluster is not None:
        return clusters.numbered(clusters.read(given.cluster), ids, given.cluster)
    return clusters.sharing_positives(runs[0], ids)


def _write(given: argparse.Namespace, comparisons: Sequence[Comparison], overviews: Sequence[Across]) -> None:
    from hardneg.compare import across_tables, latex, tables

    texts = {
        given.markdown: lambda: "\n".join(
            [*map(across_tables.markdown, overviews), *map(tables.markdown, comparisons)]
        ),
        given.latex: lambda: "\n".join([latex.comparisons(comparisons), *map(latex.across_sets, overviews)]),
        given.csv: lambda: tables.comma_separated(comparisons),
    }
    for path, text in texts.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), encoding="utf-8", newline="")
