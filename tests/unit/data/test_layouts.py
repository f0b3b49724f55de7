"""Readers: every layout that people bring holds the same world, and is recognised without a word."""

from __future__ import annotations

import layouts
import numpy as np
import pytest
from read_back import negatives, positives

from hardneg.data.readers.guess import kind_at, with_kind
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.errors import ConfigError, DataError


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_layout_holds_the_same_world(name, tmp_path):
    kind, path, settings, has = layouts.write(tmp_path, name)
    data = {"table": Table, "jsonl": Jsonl}[kind](str(path), **settings, dev_share=0, test_share=0).load()
    lines = layouts.world()
    assert positives(data) == {line.query: {layouts.joined(line.positive)} for line in lines}
    assert set(data.corpus.texts.to_pylist()) == {layouts.joined(line.positive) for line in lines}
    if has:
        assert negatives(data) == {line.query: {layouts.joined(doc) for doc in line.negatives} for line in lines}
    else:
        assert data.given is None
    if has == "scores":
        rows = {text: row for row, text in enumerate(data.corpus.texts.to_pylist())}
        for query, line in zip(data.queries.texts.to_pylist(), lines, strict=True):
            docs = [rows[layouts.joined(doc)] for doc in (line.positive, *line.negatives)]
            found = data.scored.look_up(data.queries.texts.to_pylist().index(query), np.array(docs))
            assert found == pytest.approx(line.scores)
    else:
        assert data.scored is None
    assert data.skipped == ({"query without positive": 1} if name.startswith("dpr") else {})
    prompt = "Represent this sentence for searching relevant passages: "
    assert data.query_prompt == (prompt if name.startswith("flag") else None)


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_the_kind_of_every_layout_is_guessed(name, tmp_path):
    kind, path, *_ = layouts.write(tmp_path, name)
    assert kind_at(path) == kind
    assert with_kind(["encoder=static", f"data.path='{path}'"]) == (
        [f"data={kind}", "encoder=static", f"data.path='{path}'"],
        kind,
    )


@pytest.mark.parametrize(
    "words", [["data=beir", "data.path=x"], ["seed=1"], ["data.path=${x}"], ["+data@data.sets.a=beir", "data.path=x"]]
)
def test_nothing_is_guessed_where_the_kind_is_given_or_the_path_is_not_plain(words):
    assert with_kind(words) == (words, None)


def test_a_sweep_of_paths_and_named_columns_decide_too(tmp_path):
    csv, lines, folder = tmp_path / "a.csv", tmp_path / "b.jsonl", tmp_path / "set"
    csv.write_text("query,document\n")
    lines.write_text("{}\n")
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / name).write_text("")
    assert with_kind(["--config-dir", "conf", f"data.path={csv}"])[0][:3] == ["--config-dir", "conf", "data=table"]
    assert with_kind([f"data.path={csv},{csv}"])[1] == "table"
    assert with_kind([f"data.path={lines}"])[1] == "jsonl"
    assert with_kind([f"data.path={lines},{csv}"])[1] == "table"
    assert with_kind([f"data.path={lines}", "data.columns={query: a, positive: b}"])[1] == "table"
    with pytest.raises(ConfigError, match=r"several kinds \(beir, table\)"):
        with_kind([f"data.path={folder},{csv}"])


@pytest.mark.parametrize("more", [(), ("queries.jsonl", "README.md")])
def test_a_corpus_without_judgements_is_a_beir_set_of_documents(more, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "b"}\n')
    for name in more:
        (tmp_path / name).write_text("")
    assert kind_at(tmp_path) == "beir"


def test_a_corpus_beside_rows_is_theirs(tmp_path):
    for name in ("corpus.jsonl", "train.jsonl"):
        (tmp_path / name).write_text("{}\n")
    assert kind_at(tmp_path) == "jsonl"


def test_what_cannot_be_told_is_asked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("a")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ConfigError, match=r"notes.txt.*choose one of data=beir"):
            kind_at(path)
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        kind_at(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("inside", "says"),
    [((".hydra/config.yaml", "status.json"), "is the folder of a run"), (("live.json", "builds/a"), "is an index")],
)
def test_what_hardneg_made_is_no_data_set(tmp_path, inside, says):
    """It holds JSON and CSV, and was read as a table of these."""
    for name in (*inside, "metrics.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    with pytest.raises(ConfigError, match=f"{says}, not a data set"):
        kind_at(tmp_path)
    (tmp_path / "train.jsonl").write_text("{}\n")
    assert kind_at(tmp_path) == "jsonl"  # a run or an index may lie in the folder of its data


@pytest.mark.parametrize(
    ("name", "says"),
    [("beir.zip", "an archive; unpack it"), ("pairs.tar.gz", "an archive"), ("pairs.xlsx", "save it as CSV")],
)
def test_what_is_packed_or_a_spreadsheet_is_named(tmp_path, name, says):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ConfigError, match=says):
        kind_at(tmp_path / name)


def test_a_copy_of_a_repository_of_pairs_is_read(tmp_path):
    """As `hf download` leaves it: shards in `data`, or a folder for each config."""
    (tmp_path / "faq" / "data").mkdir(parents=True)
    (tmp_path / "faq" / "dataset_infos.json").write_text("{}")
    for shard, row in enumerate(["a,A", "b,B"]):
        (tmp_path / "faq" / "data" / f"train-0000{shard}-of-00002.csv").write_text(f"anchor,positive\n{row}\n")
    assert kind_at(tmp_path / "faq") == "table"
    data = Table(str(tmp_path / "faq"), dev_share=0, test_share=0).load()
    assert data.name == "faq" and data.queries.texts.to_pylist() == ["a", "b"]
    (tmp_path / "faq" / "data").rename(tmp_path / "faq" / "pair")
    with pytest.raises(ConfigError, match=r"one of its folders, as in data.path=.*faq/pair"):
        kind_at(tmp_path / "faq")


def test_a_bad_row_of_a_shard_is_named_by_its_file(tmp_path):
    for shard, row in enumerate(["a,A", "b,"]):
        (tmp_path / f"train-0000{shard}-of-00002.csv").write_text(f"anchor,positive\n{row}\n")
    with pytest.raises(DataError, match=r"train-00001-of-00002.csv:2: the row has no positive"):
        Table(str(tmp_path)).load()
