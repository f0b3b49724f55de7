"""Small files for readers, and what was read by ids and texts; a bad row in both modes of data.on_error."""

from __future__ import annotations

import pytest

from hardneg.errors import DataError

CORPUS = [
    '{"_id": "007", "title": "James", "text": "Bond"}',
    '{"_id": "7", "title": "", "text": "seven"}',
    '{"_id": "d2", "text": "two"}',
]
QUERIES = ['{"_id": "q0", "text": "who?"}', '{"_id": "q1", "text": "how many?"}']
TRAIN = ["query-id\tcorpus-id\tscore", "q0\t007\t1", "q1\t7\t2"]


def write(path, lines, opener=open):
    path.parent.mkdir(parents=True, exist_ok=True)
    with opener(path, "wb") as file:
        file.write(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def beir(folder, corpus=CORPUS, queries=QUERIES, train=TRAIN):
    write(folder / "corpus.jsonl", corpus)
    write(folder / "queries.jsonl", queries)
    write(folder / "qrels" / "train.tsv", train)
    return str(folder)


def named(data, split):
    """A split's judgements with ids instead of rows."""
    qrels, queries, docs = data.split(split), data.queries.ids.to_pylist(), data.corpus.ids.to_pylist()
    return [(queries[q], docs[d], s) for q, d, s in zip(qrels.queries, qrels.docs, qrels.scores.tolist(), strict=True)]


def positives(data):
    """Query text to texts of its positives, over all splits."""
    out = {}
    for qrels in data.qrels.values():
        for q, d in zip(qrels.queries, qrels.docs, strict=True):
            out.setdefault(data.queries[int(q)], set()).add(data.corpus[int(d)])
    return out


def negatives(data):
    return {data.queries[row]: set(data.corpus.take(data.given[row])) for row in range(len(data.queries))}


def check_compact(data):
    for qrels in data.qrels.values():
        assert len(qrels) and qrels.docs.max() < len(data.corpus) and qrels.queries.max() < len(data.queries)
        assert set(qrels.queries) == set(qrels.query_rows)


def check_both_modes(make, where, reason, n=1):
    """`make(on_error)` builds the recipe; the bad row must be named in one mode and counted in the other."""
    with pytest.raises(DataError) as error:
        make("raise").load()
    assert str(error.value).startswith(where), str(error.value)
    assert "; " in str(error.value) and "data.on_error=skip" in str(error.value)
    data = make("skip").load()
    assert data.skipped == {reason.strip(): n}
    check_compact(data)
    return data
