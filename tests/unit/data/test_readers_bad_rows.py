"""Readers: every kind of bad row in a BEIR folder is named with file and line, or skipped and counted."""

from __future__ import annotations

import gc
import gzip
import json
import logging
import random

import pytest
from read_back import CORPUS, QUERIES, TRAIN, beir, check_both_modes, check_compact, named, write

from hardneg.data.readers.beir import Beir
from hardneg.errors import DataError

BAD_CORPUS = {
    "broken JSON": '{"_id": "x", "text": "y"',
    "not an object": '["x"]',
    "missing field": '{"_id": "x"}',
    "wrong type": '{"_id": 7, "text": "y"}',
    "wrong type ": '{"_id": "x", "text": ["y"]}',
    "wrong type  ": '{"_id": "x", "text": "y", "title": 3}',
    "empty text": '{"_id": "x", "title": "", "text": " \\t"}',
    "empty text ": '{"_id": "", "text": "y"}',
    "duplicate id": '{"_id": "007", "text": "again"}',
    "wrong encoding": b'{"_id": "x", "text": "caf\xe9"}',
    "wrong encoding ": '{"_id": "x", "text": "\\ud83d"}',
    "broken JSON ": "[" * 100_000,
}
BAD_QRELS = {
    "wrong column count": "q0\t007",
    "wrong column count ": "q0\t0\t007\t1",
    "comment": "# judged by hand",
    "wrong column count  ": "q0\td2\t1\t# by hand",
    "score not a number": "q0\td2\tyes",
    "score not a number ": "q0\td2\t1_0",
    "score not finite": "q0\td2\tnan",
    "score not finite ": "q0\td2\t-inf",
    "score not finite  ": "q0\td2\t1e39",
    "unknown document": "q0\td9\t1",
    "unknown query": "q9\td2\t1",
    "conflicting score": "q0\t007\t0",
}


@pytest.fixture(autouse=True)
def garbage_waits():
    """Keep finalisers of earlier tests' objects from running deep in a long line's recursion, where they fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("reason", BAD_CORPUS)
def test_bad_corpus_line(tmp_path, reason):
    path = beir(tmp_path, corpus=[*CORPUS[:2], BAD_CORPUS[reason], CORPUS[2]])
    data = check_both_modes(lambda mode: Beir(path, mode), f"{tmp_path}/corpus.jsonl:3: ", reason)
    assert data.corpus.ids.to_pylist() == ["007", "7", "d2"] and len(data.split("train")) == 2


@pytest.mark.parametrize("reason", [r for r in BAD_CORPUS if "title" not in str(BAD_CORPUS[r])])
def test_bad_query_line(tmp_path, reason):
    bad = BAD_CORPUS[reason]
    bad = bad.replace("007", "q0") if isinstance(bad, str) else bad
    path = beir(tmp_path, queries=[*QUERIES, "", bad])
    data = check_both_modes(lambda mode: Beir(path, mode), f"{tmp_path}/queries.jsonl:4: ", reason)
    assert data.queries.ids.to_pylist() == ["q0", "q1"]


@pytest.mark.parametrize("reason", BAD_QRELS)
def test_bad_qrels_line(tmp_path, reason):
    path = beir(tmp_path, train=[*TRAIN, BAD_QRELS[reason]])
    data = check_both_modes(lambda mode: Beir(path, mode), f"{tmp_path}/qrels/train.tsv:4: ", reason)
    assert named(data, "train") == [("q0", "007", 1.0), ("q1", "7", 2.0)]


def test_query_without_positive(tmp_path):
    path = beir(tmp_path, train=[TRAIN[0], "q1\t7\t0", *TRAIN[1:2], "q1\td2\t-1"])
    data = check_both_modes(
        lambda mode: Beir(path, mode), f"{tmp_path}/qrels/train.tsv:2: query 'q1'", "query without positive"
    )
    assert named(data, "train") == [("q0", "007", 1.0)]


def test_a_skipped_document_takes_its_judgements_along(tmp_path):
    path = beir(tmp_path, corpus=[CORPUS[0], "{", CORPUS[2]], train=[*TRAIN, "q1\td2\t0"])
    data = Beir(path, on_error="skip").load()
    assert data.skipped == {"broken JSON": 1, "unknown document": 1, "query without positive": 1}
    assert named(data, "train") == [("q0", "007", 1.0)]
    check_compact(data)


def test_what_was_skipped_is_logged_once(tmp_path, caplog):
    path = beir(tmp_path, corpus=[*CORPUS, "{", "{", "[]"])
    with caplog.at_level(logging.WARNING):
        Beir(path, on_error="skip").load()
    assert [r.getMessage() for r in caplog.records] == [
        f"data set {tmp_path.name!r}: skipped 3 bad rows (broken JSON: 2, not an object: 1)"
    ]


@pytest.mark.parametrize("lines", [[], ["", " "], [TRAIN[0]]], ids=["empty", "blank", "only a header"])
def test_empty_qrels_file(tmp_path, lines):
    path = beir(tmp_path)
    write(tmp_path / "qrels" / "dev.tsv", lines)
    data = check_both_modes(lambda mode: Beir(path, mode), f"{tmp_path}/qrels/dev.tsv:1: ", "empty file")
    assert list(data.qrels) == ["train"]


@pytest.mark.parametrize("part", ["corpus", "queries"])
def test_nothing_left_is_an_error_in_both_modes(tmp_path, part):
    path = beir(tmp_path, **{part: []})
    with pytest.raises(DataError, match=rf"{part}\.jsonl:1: the file is empty"):
        Beir(path).load()
    with pytest.raises(DataError, match=r"has no .*judgements left .*empty file: 1"):
        Beir(path, on_error="skip").load()


def test_truncated_gz(tmp_path):
    beir(tmp_path)
    rng = random.Random(0)
    corpus = [*CORPUS, *(json.dumps({"_id": f"x{i}", "text": str(rng.random())}) for i in range(5000))]
    whole = gzip.compress("\n".join(corpus).encode())
    (tmp_path / "corpus.jsonl").unlink()
    (tmp_path / "corpus.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    data = check_both_modes(lambda mode: Beir(str(tmp_path), mode), f"{tmp_path}/corpus.jsonl.gz:", "damaged gz")
    assert 1000 < len(data.corpus) < 5000
    (tmp_path / "corpus.jsonl.gz").write_bytes(whole[:10] + b"no gz at all")
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz:1: the gz file is truncated or damaged"):
        Beir(str(tmp_path)).load()
