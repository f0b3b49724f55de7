"""One small world written in every layout that people bring, each as its project publishes it."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WORDS = [
    "amber",
    "basket",
    "candle",
    "dragon",
    "engine",
    "feather",
    "garden",
    "hammer",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "magnet",
    "needle",
    "orange",
]


@dataclass(frozen=True)
class Line:
    """A query, its positive and its negatives as (title, text), and a teacher's scores of positive and negatives."""

    query: str
    positive: tuple[str, str]
    negatives: list[tuple[str, str]]
    scores: list[float]


def world(queries: int = 40) -> list[Line]:
    """Every document is some query's positive, so that all layouts have the same corpus."""
    dice = random.Random(0)
    documents = [(f"item {i}", " ".join(dice.choices(WORDS, k=8))) for i in range(queries)]
    lines = []
    for i, (_, text) in enumerate(documents):
        others = dice.sample([j for j in range(queries) if j != i], 3)
        scores = [round(dice.uniform(0.6, 1), 3), *(round(dice.uniform(0, 0.5), 3) for _ in others)]
        query = f"item {i} {' '.join(text.split()[:2])}"
        lines.append(Line(query, documents[i], [documents[j] for j in others], scores))
    return lines


def joined(document: tuple[str, str]) -> str:
    return " ".join(document)


def pairs(lines: list[Line]) -> list[dict]:
    return [{"query": line.query, "document": joined(line.positive)} for line in lines]


def triplets(lines: list[Line]) -> list[dict]:
    """sentence-transformers: one negative a row."""
    return [
        {"anchor": line.query, "positive": joined(line.positive), "negative": joined(negative)}
        for line in lines
        for negative in line.negatives
    ]


def tuples(lines: list[Line]) -> list[dict]:
    """sentence-transformers: numbered negatives."""
    return [
        {"anchor": line.query, "positive": joined(line.positive)}
        | {f"negative_{n}": joined(negative) for n, negative in enumerate(line.negatives, 1)}
        for line in lines
    ]


def labelled(lines: list[Line]) -> list[dict]:
    """sentence-transformers: two sentences and a label, 1 or 0."""
    return [
        {"sentence1": line.query, "sentence2": joined(document), "label": int(document is line.positive)}
        for line in lines
        for document in (line.positive, *line.negatives)
    ]


def scored(lines: list[Line]) -> list[dict]:
    """sentence-transformers: two sentences and a score."""
    return [
        {"sentence1": line.query, "sentence2": joined(document), "score": score}
        for line in lines
        for document, score in zip((line.positive, *line.negatives), line.scores, strict=True)
    ]


def flag(lines: list[Line]) -> list[dict]:
    """FlagEmbedding, with the scores that its add_reranker_score.py writes."""
    return [
        {
            "query": line.query,
            "pos": [joined(line.positive)],
            "neg": [joined(negative) for negative in line.negatives],
            "pos_scores": line.scores[:1],
            "neg_scores": line.scores[1:],
            "prompt": "Represent this sentence for searching relevant passages: ",
            "type": "normal",
        }
        for line in lines
    ]


def _docid(document: tuple[str, str]) -> str:
    return document[0].split()[1]


def tevatron(lines: list[Line]) -> list[dict]:
    """Tevatron to version 1: passages in each line."""

    def passage(document: tuple[str, str]) -> dict:
        return {"docid": _docid(document), "title": document[0], "text": document[1]}

    return [
        {
            "query_id": str(number),
            "query": line.query,
            "positive_passages": [passage(line.positive)],
            "negative_passages": [passage(negative) for negative in line.negatives],
        }
        for number, line in enumerate(lines)
    ]


def tevatron_ids(lines: list[Line]) -> list[dict]:
    """Tevatron from version 2: ids of documents in a corpus beside it."""
    return [
        {
            "query_id": str(number),
            "query_text": line.query,
            "query_image": None,
            "positive_document_ids": [_docid(line.positive)],
            "negative_document_ids": [_docid(negative) for negative in line.negatives],
            "answer": None,
            "source": "made up",
        }
        for number, line in enumerate(lines)
    ]


def dpr(lines: list[Line]) -> list[dict]:
    """DPR's biencoder-*.json; the score there is BM25's."""

    def context(document: tuple[str, str]) -> dict:
        title, text = document
        return {"title": title, "text": text, "score": 7.5, "title_score": 0, "passage_id": _docid(document)}

    rows = [
        {
            "dataset": "made_up",
            "question": line.query,
            "answers": [line.positive[1].split()[0]],
            "positive_ctxs": [context(line.positive)],
            "negative_ctxs": [],
            "hard_negative_ctxs": [context(negative) for negative in line.negatives],
        }
        for line in lines
    ]
    return [*rows, {**rows[0], "question": "published files have such rows", "positive_ctxs": []}]


def as_jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_json(path: Path, rows: list[dict]) -> Path:
    path.write_text(json.dumps(rows, indent=1))
    return path


def as_csv(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_parquet(path: Path, rows: list[dict]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def as_arrow(path: Path, rows: list[dict]) -> Path:
    """A stream, as `datasets` writes; as .feather a file, as pandas writes."""
    import pyarrow as pa

    table = pa.Table.from_pylist(rows)
    new = pa.ipc.new_stream if path.suffix == ".arrow" else pa.ipc.new_file
    with new(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


def as_saved(path: Path, rows: list[dict]) -> Path:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(path))
    return path


def with_corpus(path: Path, rows: list[dict]) -> Path:
    """Lines that name documents by id, and the corpus that holds these."""
    as_jsonl(path / "train.jsonl", rows)
    documents = [line.positive for line in world()]
    corpus = [{"docid": _docid(d), "title": d[0], "text": d[1], "image": None} for d in documents]
    as_jsonl(path / "corpus.jsonl", corpus)
    return path


# name -> the kind of data, the file or folder, rows, how they are written, further settings, what comes with each query
LAYOUTS: dict[str, tuple[str, str, Callable, Callable, dict, str]] = {
    "pairs.csv": ("table", "pairs.csv", pairs, as_csv, {}, ""),
    "pairs.tsv": ("table", "pairs.tsv", pairs, as_csv, {}, ""),
    "pairs.json": ("table", "pairs.json", pairs, as_json, {}, ""),
    "pairs.parquet": ("table", "pairs.parquet", pairs, as_parquet, {}, ""),
    "pairs.arrow": ("table", "pairs.arrow", pairs, as_arrow, {}, ""),
    "pairs.feather": ("table", "pairs.feather", pairs, as_arrow, {}, ""),
    "triplets.parquet": ("table", "triplets.parquet", triplets, as_parquet, {}, "negatives"),
    "triplets.jsonl": ("jsonl", "triplets.jsonl", triplets, as_jsonl, {}, "negatives"),
    "tuples.csv": ("table", "tuples.csv", tuples, as_csv, {}, "negatives"),
    "tuples saved": ("table", "tuples", tuples, as_saved, {}, "negatives"),
    "labelled.csv": ("table", "labelled.csv", labelled, as_csv, {}, "negatives"),
    "labelled.jsonl": ("jsonl", "labelled.jsonl", labelled, as_jsonl, {}, "negatives"),
    "scored.parquet": ("table", "scored.parquet", scored, as_parquet, {"positive_from": 0.55}, "scores"),
    "flag.jsonl": ("jsonl", "flag.jsonl", flag, as_jsonl, {}, "scores"),
    "flag.parquet": ("table", "flag.parquet", flag, as_parquet, {}, "scores"),
    "tevatron.jsonl": ("jsonl", "tevatron.jsonl", tevatron, as_jsonl, {}, "negatives"),
    "tevatron saved": ("table", "tevatron", tevatron, as_saved, {}, "negatives"),
    "tevatron ids": ("jsonl", "tevatron-ids", tevatron_ids, with_corpus, {}, "negatives"),
    "dpr.json": ("table", "dpr.json", dpr, as_json, {}, "negatives"),
    "dpr.jsonl": ("jsonl", "dpr.jsonl", dpr, as_jsonl, {}, "negatives"),
}


def write(folder: Path, name: str) -> tuple[str, Path, dict, str]:
    """Write the world in one layout; return the kind of data, the path, further settings, and what comes with it."""
    kind, file, rows, save, settings, has = LAYOUTS[name]
    return kind, save(folder / file, rows(world())), settings, has
