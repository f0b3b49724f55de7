"""Cut a BEIR folder into what had arrived by four dates: a quarter, half, three quarters and all of its documents.

usage: arrivals.py DATA_FOLDER OUT_FOLDER [SEED]; a query has arrived once all of its relevant documents have.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

SHARES = (0.25, 0.5, 0.75, 1.0)
SPLITS = ("train", "dev", "test")


def lines(path):
    """Ids and lines of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        return [(str(json.loads(line)["_id"]), line) for line in file if line.strip()]


def judgements(path):
    """Rows of a qrels file, without its header."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file, delimiter="\t")][1:]


def main(source, out, seed=1):
    """Write a folder for each date."""
    corpus, queries = lines(source / "corpus.jsonl"), lines(source / "queries.jsonl")
    order = np.random.default_rng(int(seed)).permutation(len(corpus))
    qrels = {split: judgements(source / "qrels" / f"{split}.tsv") for split in SPLITS}
    needs: dict[str, set[str]] = {}
    for query, doc, *_ in (row for rows in qrels.values() for row in rows):
        needs.setdefault(query, set()).add(doc)
    for number, share in enumerate(SHARES, start=1):
        rows = np.sort(order[: round(share * len(corpus))])
        there = {corpus[row][0] for row in rows}
        asked = {query for query, docs in needs.items() if docs <= there}
        folder = out / f"{number}"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        (folder / "corpus.jsonl").write_text("".join(corpus[row][1] for row in rows), encoding="utf-8")
        (folder / "queries.jsonl").write_text("".join(t for name, t in queries if name in asked), encoding="utf-8")
        for split, judged in qrels.items():
            kept = "".join("\t".join(row) + "\n" for row in judged if row[0] in asked)
            (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{kept}", encoding="utf-8")
        counts = {split: len({row[0] for row in judged if row[0] in asked}) for split, judged in qrels.items()}
        print(f"{folder}: {len(there)} documents, queries {counts}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
