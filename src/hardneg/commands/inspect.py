"""hardneg inspect: what a data set holds, before anything is trained on it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.errors import UserError

EXAMPLES = """examples:
  hardneg inspect my_pairs.csv
  hardneg inspect beir/scifact encoder=minilm          # lengths in another encoder's tokens
  hardneg inspect pairs.jsonl 'data.columns={query: question, positive: answer}'
  hardneg inspect data=hub data.repo=sentence-transformers/natural-questions data.config=pair
  hardneg inspect my_pairs.csv --json > report.json
"""
MAY = ("data", "encoder", "split")  # groups and keys that determine what is examined


def main(arguments: Sequence[str]) -> None:
    """Print what the data hold, what deserves a look, and the command that trains on them.

    Raises `UserError` for words that name nothing, `DataError` for files that cannot be read.
    """
    given = _parser().parse_args(arguments)
    words = config_words(given.words)
    from hardneg.data.readers.guess import said_of, with_kind

    words, kind = with_kind(words)
    if kind is not None:
        sys.stderr.write(f"hardneg inspect: {said_of(words, kind)}\n")
    from hardneg.inspection.opened import read
    from hardneg.inspection.report import Bounds, inspect
    from hardneg.inspection.show import show

    bounds = Bounds(given.queries, given.documents, given.texts)
    report = inspect(read(words), bounds)
    if given.json:
        sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    else:
        show(report)


def config_words(words: Sequence[str]) -> list[str]:
    """Turn a path among the words into `data.path=`; raises `UserError` for what is neither."""
    from hardneg.config.command_words import quoted  # which imports Hydra

    found = []
    for word in words:
        key, equals, _ = word.lstrip("+~").partition("=")
        if not equals or Path(word).exists():
            found.append(f"data.path={quoted(word)}")
        elif key.split(".")[0].split("@")[0].split("/")[0] not in MAY:
            raise UserError(f"{word}: inspect takes a path and the words data=, data.KEY=, encoder= and split.KEY=")
        else:
            found.append(word)
    if not any(word.lstrip("+").startswith("data") for word in found):
        raise UserError("give the path of a data set, or data=KIND and its settings")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg inspect",
        description="Describe a data set before training: splits, labels, lengths in tokens, duplicates,"
        " scripts, leaks between splits, what BM25 finds, likely false negatives; and the command to train on it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "words",
        nargs="+",
        metavar="PATH | KEY=VALUE",
        help="a file or folder that data= can read (the kind is guessed), or the arguments of hardneg train for data,"
        " encoder and split",
    )
    add("--json", action="store_true", help="write the whole report as JSON to standard output")
    add("--queries", type=int, default=500, help="most queries of each split that BM25 ranks (default: %(default)s)")
    add("--documents", type=int, default=100_000, help="most documents that it ranks (default: %(default)s)")
    add("--texts", type=int, default=20_000, help="most texts measured in tokens (default: %(default)s)")
    return parser
