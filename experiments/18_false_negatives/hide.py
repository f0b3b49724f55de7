"""Copy a data set in BEIR layout with one training positive a query left, drawn at random; all are in train_all.tsv.

usage: hide.py DATA/nfcorpus-proc OUT/nfcorpus-hidden
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from pathlib import Path


def main(source: Path, out: Path) -> None:
    """Write the copy; corpus and queries are links."""
    (out / "qrels").mkdir(parents=True, exist_ok=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (out / name).exists():
            (out / name).symlink_to((source / name).resolve())
    for file in (source / "qrels").glob("*.tsv"):
        text = file.read_text(encoding="utf-8")
        (out / "qrels" / file.name).write_text(text, encoding="utf-8")
    header, *lines = (source / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()
    by_query = defaultdict(list)
    for line in lines:
        query, _, grade = line.split("\t")
        if int(grade) > 0:
            by_query[query].append(line)
    draw = random.Random(0)
    kept = [draw.choice(found) for _, found in sorted(by_query.items())]
    (out / "qrels" / "train.tsv").write_text("\n".join([header, *kept, ""]), encoding="utf-8")
    (out / "train_all.tsv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    print(f"{out}: {len(kept)} of {sum(map(len, by_query.values()))} training positives are left")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
