"""hardneg ab: compare an old and a new ranking before the new one goes out, and say whether it may."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardneg.ab import gate as gates
from hardneg.ab.run_file import run_file
from hardneg.ab.simulated_users import USERS
from hardneg.compare.arguments import query_arguments
from hardneg.errors import UserError

if TYPE_CHECKING:
    from hardneg.ab.report import AbPlan, Report
    from hardneg.ab.systems import Files

EXAMPLES = """examples:
  hardneg ab outputs/OLD outputs/NEW --html report.html
  hardneg ab old.ckpt new.ckpt data=beir data.path=DIR --gate-delta -0.01 --gate-lost 0.05 --gate-slice -0.02
  hardneg ab bm25.run dense.run --qrels qrels.tsv --queries queries.jsonl --corpus corpus.jsonl --markdown report.md
  hardneg ab outputs/OLD outputs/NEW --clicks clicks.jsonl --slice language=languages.tsv --json report.json

exit code: 0; 1 if a gate's limit is crossed; 2 for bad input.
"""


def main(arguments: Sequence[str]) -> None:
    """Print the report, write the files that are asked for, and exit with 1 where the gate says no."""
    given = _parser().parse_intermixed_args(arguments)
    old, new = _two(given.old_new)
    own = _own_slices(given.slice)
    _check_there(given, own)
    for path in (old, new):
        if path.suffix != ".ckpt":
            run_file(path)  # a folder without one is refused before what compares is imported
    from hardneg.data.readers.guess import said_of, with_kind

    typed = [word for word in given.old_new if not _is_path(word)]
    words, kind = with_kind(typed)
    if kind is not None:
        sys.stderr.write(f"hardneg ab: {said_of(words, kind)}\n")
    from hardneg.ab.report import compare
    from hardneg.ab.systems import load
    from hardneg.ab.terminal_report import show
    from hardneg.retrieval.metrics import check as check_metrics

    plan = _plan(given, own)
    check_metrics(plan.metrics)
    files = _files(given, typed)
    try:
        sides = load(old, new, words, files)
        report = compare(*sides, plan)
    except KeyboardInterrupt:
        sys.stderr.write("hardneg ab: interrupted; the same command reuses what was embedded\n")
        sys.exit(130)
    show(report)
    _write(given, report)
    if report.passed is False:
        sys.stderr.write("".join(f"hardneg ab: gate: {reason}\n" for reason in report.reasons))
        sys.exit(1)


def _files(given: argparse.Namespace, words: Sequence[str]) -> Files:
    from hardneg.ab.systems import Files

    named = [name for name in ("qrels", "queries", "corpus") if getattr(given, name) is not None]
    if named and words:
        raise UserError(
            f"--{named[0]} and {words[0]}: judgements and texts come from files or from a data set, not from both"
        )
    if named and given.qrels is None:
        raise UserError(f"--{named[0]} is for --qrels FILE; a run folder and a data set have their own texts")
    bar = given.relevant_from
    if bar is not None and given.qrels is None:
        raise UserError("--relevant-from is for --qrels FILE; for a data set use data.relevant_from=2")
    if bar is not None and not bar > 0:
        raise UserError(f"--relevant-from {bar:g}: must be above 0: it is the lowest relevant grade")
    return Files(given.qrels, given.queries, given.corpus, bar)


def _is_path(word: str) -> bool:
    """Whether a word is a path and not an override: folders may have a = in their names."""
    return "=" not in word or Path(word).exists()


def _two(words: Sequence[str]) -> tuple[Path, Path]:
    paths = [Path(word) for word in words if _is_path(word)]
    if len(paths) != 2:
        raise UserError(f"give two rankings, OLD and NEW, got {len(paths)}: {', '.join(map(str, paths)) or 'none'}")
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such run folder, run file or checkpoint")
    return paths[0], paths[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg ab",
        description="Compare two rankings of the same queries before a rollout: run folders, TREC run files, or"
        " checkpoints with a data set to rank.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "old_new",
        nargs="+",
        metavar="OLD NEW [data=...]",
        help="the live ranking and its candidate; then arguments as in hardneg evaluate: data, split, cache, precision,"
        " evaluate.depth, evaluate.leave_out",
    )
    add("--qrels", type=Path, metavar="FILE", help="judgements with BEIR's or TREC's columns, instead of data=")
    add(
        "--relevant-from",
        type=float,
        metavar="GRADE",
        help="lowest grade of --qrels that is relevant (default: any > 0)",
    )
    add("--queries", type=Path, metavar="FILE", help="texts of queries, JSON lines with _id and text")
    add("--corpus", type=Path, metavar="FILE", help="texts of documents, JSON lines with _id, title and text")
    add(
        "--metric",
        action="append",
        help="metrics, with commas or repeated; the first decides (default: ndcg@10,recall@100)",
    )
    add("--k", type=int, default=10, help="number of results that a user sees (default: %(default)s)")
    query_arguments(parser, "relevant document")
    add("--slice", action="append", default=[], metavar="NAME=FILE", help="your own slices: query id and slice")
    add(
        "--clicks",
        type=Path,
        metavar="FILE",
        help="log of a live interleaving test, JSON lines, instead of a simulation",
    )
    add("--click-model", choices=[*USERS, "none"], default="navigational", help="simulated user (default: %(default)s)")
    add("--impressions", type=int, default=10, help="simulated result lists per query (default: %(default)s)")
    add("--seed", type=int, default=0, help="seed of the simulation (default: %(default)s)")
    gates.add_options(parser)
    add(
        "--examples", type=int, default=10, help="how many of the queries that lost most to show (default: %(default)s)"
    )
    add("--no-texts", action="store_true", help="write no texts to the files, for data that must not be shared")
    add("--markdown", type=Path, metavar="FILE", help="write the report as Markdown")
    add("--html", type=Path, metavar="FILE", help="write the report with figures as one HTML file")
    add("--json", type=Path, metavar="FILE", help="write all numbers, and the difference for every query")
    return parser


def _own_slices(words: Sequence[str]) -> dict[str, Path]:
    own = dict(word.partition("=")[::2] for word in words)
    for name, file in own.items():
        if not name or not file:
            raise UserError(f"--slice {name}{file}: write NAME=FILE, as in language=languages.tsv")
    return {name: Path(file) for name, file in own.items()}


def _check_there(given: argparse.Namespace, own: Mapping[str, Path]) -> None:
    """Raise `UserError` for an option's file that is not there, before the modules that read it are loaded."""
    named = {f"--{name}": getattr(given, name) for name in ("qrels", "queries", "corpus", "cluster", "clicks")}
    for option, path in {**named, **{f"--slice {name}=": path for name, path in own.items()}}.items():
        if path is not None and not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "no such file"
            raise UserError(f"{option}{'' if option.endswith('=') else ' '}{path}: {what}")


def _plan(given: argparse.Namespace, own: dict[str, Path]) -> AbPlan:
    from hardneg.ab.report import AbPlan

    return AbPlan(
        metrics=tuple(name for names in given.metric or ["ndcg@10,recall@100"] for name in names.split(",")),
        k=given.k,
        tie=given.tie,
        cluster=given.cluster,
        cluster_positives=given.cluster_positives,
        slices=own,
        user=None if given.click_model == "none" else given.click_model,
        impressions=given.impressions,
        clicks=given.clicks,
        seed=given.seed,
        examples=given.examples,
        gate=gates.of(given),
    )


def _write(given: argparse.Namespace, report: Report) -> None:
    from hardneg.ab import json_report
    from hardneg.ab.html_report import page
    from hardneg.ab.markdown_report import markdown

    texts = not given.no_texts
    files = {
        given.markdown: lambda: markdown(report, texts),
        given.html: lambda: page(report, texts),
        given.json: lambda: json_report.text(report),
    }
    for path, content in files.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content(), encoding="utf-8", newline="")
            sys.stdout.write(f"{path}\n")
