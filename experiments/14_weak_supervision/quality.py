"""How many of the pairs whose text was handed on, and of the others, the filters dropped: as rows of a Markdown table.

usage: python quality.py PAIRS.jsonl RUN_FOLDER...
"""

import json
import sys
from pathlib import Path

from hardneg.data.training_set import TrainingSet
from hardneg.pairs.base import Pairs
from hardneg.pairs.report import kept_of
from hardneg.runs.saved_config import open_data


def main() -> None:
    """Print a row for each run."""
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    mixed = {(row["query"], row["positive"]): row["mixed"] for row in rows}
    print(
        "| run | texts handed on: dropped | own texts: dropped | handed on, of those kept |\n| --- | --- | --- | --- |"
    )
    for folder in map(Path, sys.argv[2:]):
        pairs = Pairs.of(TrainingSet(open_data(folder)))
        kept = kept_of(folder)
        wrong = [mixed[pair] for pair in zip(pairs.texts("query"), pairs.texts("document"), strict=True)]
        dropped = {flag: sum(w == flag and not k for w, k in zip(wrong, kept, strict=True)) for flag in (True, False)}
        shares = [
            f"{dropped[flag]:,} of {wrong.count(flag):,} ({dropped[flag] / max(wrong.count(flag), 1):.1%})"
            for flag in (True, False)
        ]
        left = wrong.count(True) - dropped[True]
        print(f"| {folder.parent.name} | {shares[0]} | {shares[1]} | {left / max(int(kept.sum()), 1):.1%} |")


if __name__ == "__main__":
    main()
