"""Readers: pairs and triples in JSONL."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from read_back import check_both_modes, negatives, positives, write

from hardneg.data.readers.jsonl import Jsonl
from hardneg.errors import DataError

PAIRS = [
    '{"query": "a", "positive": "A", "negative": "B"}',
    '{"anchor": "b", "positive": "B", "negative_1": "C", "negative_2": ["A", "D"]}',
    '{"query": "c", "pos": ["C", "E"], "neg": [], "pos_scores": [1, 2]}',
]


def test_spellings(tmp_path):
    path = write(tmp_path / "mine.jsonl", [*PAIRS, '{"query": "a", "positive": ["A", "F"], "negative": null}'])
    data = Jsonl(str(path), dev_share=0, test_share=0).load()
    assert data.name == "mine" and list(data.qrels) == ["train"]
    assert data.corpus.ids.to_pylist() == ["d0", "d1", "d2", "d3", "d4", "d5"]
    assert data.corpus.take(range(6)) == ["A", "B", "C", "D", "E", "F"]
    assert data.queries.ids.to_pylist() == ["q0", "q1", "q2"]
    assert positives(data) == {"a": {"A", "F"}, "b": {"B"}, "c": {"C", "E"}}
    assert negatives(data) == {"a": {"B"}, "b": {"C", "A", "D"}, "c": set()}
    assert len(data.split("train")) == 5 and set(data.split("train").scores) == {1.0}


def test_folder_of_splits(tmp_path):
    write(tmp_path / "train.jsonl", [PAIRS[0]])
    write(tmp_path / "validation.jsonl.gz", [PAIRS[1]], gzip.open)
    write(tmp_path / "corpus.jsonl", ['{"_id": "B", "text": "B"}', '{"title": "t", "text": "more"}'])
    data = Jsonl(str(tmp_path)).load()
    assert {split: len(qrels) for split, qrels in data.qrels.items()} == {"train": 1, "dev": 1}
    assert data.corpus.take(range(len(data.corpus))) == ["A", "B", "C", "D", "t more"]
    assert len(data.given) == 2
    write(tmp_path / "dev.jsonl", [PAIRS[1]])
    with pytest.raises(DataError, match="both dev splits"):
        Jsonl(str(tmp_path)).load()


def test_files_of_no_split_are_named(tmp_path, caplog):
    write(tmp_path / "train.jsonl", ['{"query": "a", "positive": "A"}'])
    write(tmp_path / "corpus.jsonl", ['{"text": "B"}'])
    Jsonl(str(tmp_path), dev_share=0, test_share=0).load()
    assert "not read" not in caplog.text
    write(tmp_path / "eval.jsonl", ['{"query": "b", "positive": "B"}'])
    Jsonl(str(tmp_path), dev_share=0, test_share=0).load()
    assert f"{tmp_path}: not read, as they belong to no split: eval.jsonl (" in caplog.text


def test_hash_split_is_stable(tmp_path):
    lines = [json.dumps({"query": f"query {i // 2}", "positive": f"doc {i}"}) for i in range(2000)]
    shuffled = random.Random(0).sample(lines, len(lines))

    def split(lines, **shares):
        data = Jsonl(str(write(tmp_path / "pairs.jsonl", lines)), **shares).load()
        assert data.given is None
        return {name: {data.queries[int(row)] for row in qrels.queries} for name, qrels in data.qrels.items()}

    first = split(lines)
    assert first == split(shuffled) and first["dev"] >= split(lines[:500])["dev"]
    assert sum(map(len, first.values())) == 1000  # no query in two splits
    assert 60 < len(first["dev"]) < 140 and 60 < len(first["test"]) < 140
    assert split(lines, dev_share=0.3)["test"] == first["test"]
    assert {"query 1", "query 4"} <= first["dev"]
    assert {"query 20", "query 35"} <= first["test"]  # pinned: runs of different versions must stay comparable


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("broken JSON", '{"query": "a", '),
        ("not an object", '"a"'),
        ("missing field", '{"question": "a", "positive": "A"}'),
        ("missing field", '{"query": "a", "answer": "A"}'),
        ("missing field", "{}"),
        ("wrong type", '{"query": ["a"], "positive": "A"}'),
        ("wrong type", '{"query": "a", "positive": 3}'),
        ("wrong type", '{"query": "a", "pos": ["A", ["B"]]}'),
        ("empty text", '{"query": " ", "positive": "A"}'),
        ("empty text", '{"query": "a", "pos": ["A"], "neg": ["new", ""]}'),
        ("query without positive", '{"query": "a", "pos": [], "neg": ["new"]}'),
        ("contradiction", '{"query": "a", "pos": ["A", "new"], "neg": ["new"]}'),
        ("wrong encoding", b'{"query": "a", "positive": "\xff"}'),
    ],
)
def test_bad_pair(tmp_path, reason, bad):
    path = write(tmp_path / "x.jsonl", [*PAIRS, bad])

    def make(mode):
        return Jsonl(str(path), mode, 0, 0)

    data = check_both_modes(make, f"{path}:4: ", reason)
    assert data.corpus.take(range(len(data.corpus))) == ["A", "B", "C", "D", "E"]  # nothing of the bad row
    assert len(data.queries) == len(data.given) == 3


def test_passages_of_one_document_are_known_by_their_own_ids_as_in_ms_marco_v2(tmp_path):
    rows = [{"query_text": f"ask {n}", "positive_document_ids": [f"p{n}"]} for n in range(4)]
    write(tmp_path / "train.jsonl", map(json.dumps, rows))
    passages = [{"pid": f"p{n}", "docid": f"d{n // 2}", "text": f"part {n}"} for n in range(4)]
    write(tmp_path / "corpus.jsonl", map(json.dumps, passages))
    data = Jsonl(str(tmp_path), dev_share=0, test_share=0).load()
    assert positives(data) == {f"ask {n}": {f"part {n}"} for n in range(4)}


def test_a_document_without_a_text_leaves_those_after_it_known_by_id(tmp_path):
    rows = [{"query_text": f"ask {n}", "positive_document_ids": [f"p{n}"]} for n in range(4) if n != 1]
    write(tmp_path / "train.jsonl", [json.dumps(row) for row in rows])
    documents = [{"docid": f"p{n}", "text": "" if n == 1 else f"passage {n}"} for n in range(4)]
    write(tmp_path / "corpus.jsonl", [json.dumps(row) for row in documents])

    def make(mode):
        return Jsonl(str(tmp_path), mode, 0, 0)

    data = check_both_modes(make, f"{tmp_path}/corpus.jsonl:2: ", "empty text")
    assert positives(data) == {f"ask {n}": {f"passage {n}"} for n in (0, 2, 3)}


def test_an_id_of_two_documents_is_refused_where_rows_name_documents(tmp_path):
    """The last of them was trained on."""
    write(tmp_path / "train.jsonl", ['{"query_text": "ask", "positive_document_ids": ["p", "o"]}'])
    texts = {"p": ["first", "first", "second"], "o": ["other", "other "]}
    documents = [json.dumps({"docid": name, "text": text}) for name, found in texts.items() for text in found]
    write(tmp_path / "corpus.jsonl", documents)
    data = check_both_modes(
        lambda mode: Jsonl(str(tmp_path), mode, 0, 0), f"{tmp_path}/corpus.jsonl:3: ", "duplicate id"
    )
    assert positives(data) == {"ask": {"first", "other"}}
    assert "second" not in data.corpus.texts.to_pylist()  # skipped, as it is said
    assert "other " not in data.corpus.texts.to_pylist(), "blanks around a text make it no other document"


def test_bad_extra_documents_and_empty_splits(tmp_path):
    write(tmp_path / "train.jsonl", PAIRS)
    write(tmp_path / "corpus.jsonl", ['{"text": "more"}', '{"text": ""}'])
    check_both_modes(lambda mode: Jsonl(str(tmp_path), mode), f"{tmp_path}/corpus.jsonl:2: ", "empty text")
    write(tmp_path / "corpus.jsonl", ['{"text": "more"}'])
    write(tmp_path / "test.jsonl", [])
    check_both_modes(lambda mode: Jsonl(str(tmp_path), mode), f"{tmp_path}/test.jsonl:1: ", "empty file")


def test_missing_pairs(tmp_path):
    write(tmp_path / "trian.jsonl", PAIRS)
    with pytest.raises(DataError, match=r"no train\.jsonl, plain or packed \(\.gz, .*holds: trian\.jsonl"):
        Jsonl(str(tmp_path)).load()
    with pytest.raises(DataError, match=r"x\.jsonl: no such file; expected .*holds: trian\.jsonl"):
        Jsonl(str(tmp_path / "x.jsonl")).load()


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_reading_says_how_far_it_is(name, tmp_path, monkeypatch):
    """In bytes of the file, of a gz file those on the disk: how many lines there are nobody knows before the end."""
    import contextlib
    import gzip

    from hardneg.data.readers import lines
    from hardneg.system.progress import Progress

    path, seen = tmp_path / name, []
    text = "".join(f'{{"n": {number}}}\n' for number in range(20_000)).encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)

    @contextlib.contextmanager
    def watched(total, what, unit):
        seen.append(Progress(total, what, unit))
        yield seen[0]

    monkeypatch.setattr(lines, "progress", watched)
    assert sum(1 for _ in lines.json_lines(path, lines.Complaints("raise"))) == 20_000
    assert seen[0].what == f"read {name}" and seen[0].total == path.stat().st_size
    assert 0.75 * seen[0].total < seen[0].done <= seen[0].total
