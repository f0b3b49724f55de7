"""Mined lists as text, for people and for other tools."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int32

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.mining.store import Store
from hardneg.system.atomic_write import atomic_write

Record = dict[str, Any]
BLOCK = 4096  # records written to Parquet at a time


def records(store: Store, training: TrainingSet, k: int, form: str) -> Iterator[Record]:
    """Yield the hardest `k` kept negatives of every mined query; texts are read as they are needed.

    `form` triplet: a line per negative (anchor, positive, negative: sentence-transformers). n_tuple: anchor, positive,
    negative_1 to negative_k, queries with fewer left out (sentence-transformers). flag: query, pos and neg lists,
    queries without negatives left out (FlagEmbedding). ids: query_id, positive_ids, negative_ids, scores. Of several
    positives triplet and n_tuple take the first; the others name all, relabelled ones too.
    """
    for query in training.queries.tolist():
        yield from FORMS[form](store, training, query, k)


def left_out(store: Store, training: TrainingSet, k: int, form: str) -> int:
    """Count the queries without a record in an export: n_tuple needs `k` negatives, triplet and flag one."""
    least = {"n_tuple": k, "ids": 0}.get(form, 1)
    return sum(len(store.kept(query)[:k]) < least for query in training.queries.tolist())


def _triplet(store: Store, training: TrainingSet, query: int, k: int) -> Iterator[Record]:
    data = training.data
    positive = data.corpus[int(training.positives[query][0])]
    for negative in store.kept(query)[:k].tolist():
        yield {"anchor": data.queries[query], "positive": positive, "negative": data.corpus[negative]}


def _n_tuple(store: Store, training: TrainingSet, query: int, k: int) -> Iterator[Record]:
    data, negatives = training.data, store.kept(query)[:k].tolist()
    if len(negatives) == k:
        named = {f"negative_{i}": data.corpus[doc] for i, doc in enumerate(negatives, start=1)}
        positive = data.corpus[int(training.positives[query][0])]
        yield {"anchor": data.queries[query], "positive": positive, **named}


def _flag(store: Store, training: TrainingSet, query: int, k: int) -> Iterator[Record]:
    texts, negatives = training.data.corpus, store.kept(query)[:k]
    if len(negatives):
        yield {
            "query": training.data.queries[query],
            "pos": texts.take(_positives(store, training, query)),
            "neg": texts.take(negatives),
        }


def _ids(store: Store, training: TrainingSet, query: int, k: int) -> Iterator[Record]:
    data, kept = training.data, store.keeps(query)
    yield {
        "query_id": data.queries.ids[query].as_py(),
        "positive_ids": data.corpus.ids.take(_positives(store, training, query)).to_pylist(),
        "negative_ids": data.corpus.ids.take(store.ids[query][kept][:k]).to_pylist(),
        "scores": [round(float(score), 6) for score in store.scores[query][kept][:k]],
    }


def _positives(store: Store, training: TrainingSet, query: int) -> Int32[np.ndarray, " n"]:
    return np.concatenate([training.positives[query], store.relabelled(query)])


FORMS: dict[str, Callable[[Store, TrainingSet, int, int], Iterator[Record]]] = {
    "triplet": _triplet,
    "n_tuple": _n_tuple,
    "flag": _flag,
    "ids": _ids,
}


def check_export(form: str | None, path: str | None) -> None:
    """Raise `ConfigError` for a form that we do not write, and a file of another kind or where nothing can be written.

    Makes the file's folder.
    """
    if form is not None and form not in FORMS:
        raise ConfigError(f"export.form must be one of {', '.join(FORMS)}, got {form!r}")
    if path is None:
        return
    if Path(path).suffix not in (".jsonl", ".parquet"):
        raise ConfigError(f"export.path={path}: must end in .jsonl or .parquet")
    if form is None:
        raise ConfigError(f"export.path={path} needs export.form, one of {', '.join(FORMS)}")
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=Path(path).parent):
            pass
    except OSError as error:
        raise ConfigError(f"export.path={path}: cannot write there ({error.strerror})") from error


def export(store: Store, training: TrainingSet, k: int, form: str, path: Path) -> int:
    """Write the records as JSONL or Parquet (which `datasets` reads too); return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = records(store, training, k, form)
    with atomic_write(path) as draft:
        return _jsonl(rows, draft) if path.suffix == ".jsonl" else _parquet(rows, draft, _schema(form, k))


def _jsonl(rows: Iterator[Record], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in rows:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(rows: Iterator[Record], path: Path, schema: pa.Schema) -> int:
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        while block := list(itertools.islice(rows, BLOCK)):
            writer.write_table(pa.Table.from_pylist(block, schema=schema))
            count += len(block)
    return count


def _schema(form: str, k: int) -> pa.Schema:
    """The columns of a form, which a block of records whose lists are all empty cannot tell."""
    text, texts = pa.string(), pa.list_(pa.string())
    return pa.schema(
        {
            "triplet": {"anchor": text, "positive": text, "negative": text},
            "n_tuple": {"anchor": text, "positive": text} | {f"negative_{i}": text for i in range(1, k + 1)},
            "flag": {"query": text, "pos": texts, "neg": texts},
            "ids": {"query_id": text, "positive_ids": texts, "negative_ids": texts, "scores": pa.list_(pa.float64())},
        }[form]
    )
