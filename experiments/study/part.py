"""Copy a data set in BEIR layout with so many of its training queries, drawn at random, for encoders that cost more.

usage: part.py DATA/nl2bash OUT/nl2bash-1500 1500
"""

from __future__ import annotations

import random
import sys
from pathlib import Path


def main(source: Path, out: Path, queries: int) -> None:
    """Write the copy; corpus and queries are links, dev and test stay whole."""
    (out / "qrels").mkdir(parents=True, exist_ok=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (out / name).exists():
            (out / name).symlink_to((source / name).resolve())
    for file in (source / "qrels").glob("*.tsv"):
        (out / "qrels" / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    header, *lines = (source / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()
    all_queries = sorted({line.split("\t")[0] for line in lines})
    drawn = set(random.Random(0).sample(all_queries, queries))
    kept = [line for line in lines if line.split("\t")[0] in drawn]
    (out / "qrels" / "train.tsv").write_text("\n".join([header, *kept, ""]), encoding="utf-8")
    print(f"{out}: {len(drawn):,} of {len(all_queries):,} training queries, {len(kept):,} positives")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
