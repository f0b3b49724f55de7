"""Holding out queries: by text and seed alone, only where a split is missing, and the documents stay."""

from __future__ import annotations

import json
from hashlib import blake2b

import pytest
from read_back import beir, write

from hardneg.data.held_out import Shares
from hardneg.data.mix import Mix
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.errors import ConfigError, DataError

TEXTS = [f"query {i}" for i in range(200)]


def folder(path, texts=TEXTS, order=1):
    """A BEIR folder whose only split is train; queries that share a document among them."""
    rows = list(enumerate(texts))[::order]
    corpus = [json.dumps({"_id": f"d{i // 2}", "title": "", "text": f"doc {i // 2}"}) for i, _ in rows if i % 2 == 0]
    queries = [json.dumps({"_id": f"q{i}", "text": text}) for i, text in rows]
    return beir(path, corpus, queries, ["query-id\tcorpus-id\tscore", *(f"q{i}\td{i // 2}\t2" for i, _ in rows)])


def splits(data):
    return {name: {data.queries[int(row)] for row in qrels.queries} for name, qrels in data.qrels.items()}


def drawn(text, seed):
    """The rule written out: the first 8 bytes of BLAKE2b of the text, salted by the seed, as a share of 2**64."""
    digest = blake2b(text.encode(), digest_size=8, salt=seed.to_bytes(8, "big")).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return "test" if share < 0.2 else "dev" if share < 0.3 else "train"


@pytest.mark.parametrize("seed", [0, 5])
def test_a_beir_folder_with_train_alone_is_divided_by_query(tmp_path, seed):
    data = Beir(folder(tmp_path / "a"), dev_share=0.1, test_share=0.2, split_seed=seed).load()
    held = splits(data)
    assert held == {name: {text for text in TEXTS if drawn(text, seed) == name} for name in ("train", "dev", "test")}
    assert len(data.corpus) == 100 and sum(map(len, data.qrels.values())) == 200
    assert all(set(qrels.scores) == {2.0} for qrels in data.qrels.values())
    assert splits(Beir(folder(tmp_path / "b", order=-1), dev_share=0.1, test_share=0.2, split_seed=seed).load()) == held
    some = splits(Beir(folder(tmp_path / "c", TEXTS[:80]), dev_share=0.1, test_share=0.2, split_seed=seed).load())
    assert all(some[name] <= held[name] for name in some)


def test_a_split_that_is_there_stays_and_only_the_missing_one_is_held_out(tmp_path):
    path = folder(tmp_path)
    write(tmp_path / "qrels/test.tsv", ["q0\td0\t1"])
    data = Beir(path, dev_share=0.1, test_share=0.2).load()
    assert splits(data)["test"] == {"query 0"}
    assert splits(data)["dev"] == {text for text in TEXTS if _share(text) < 0.1}


def _share(text):
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def test_without_shares_a_folder_stays_as_it_is_and_the_message_names_them(tmp_path):
    data = Beir(folder(tmp_path)).load()
    assert list(data.qrels) == ["train"]
    with pytest.raises(DataError, match=r"no split 'dev'; it has train.*data.dev_share=0.1"):
        data.split("dev")


def test_without_a_train_split_there_is_nothing_to_hold_out_of(tmp_path):
    path = folder(tmp_path)
    (tmp_path / "qrels/train.tsv").rename(tmp_path / "qrels/test.tsv")
    with pytest.raises(DataError, match="there is none; there are: test"):
        Beir(path, dev_share=0.1).load()


def test_all_readers_hold_out_the_same_queries(tmp_path):
    from datasets import Dataset

    rows = [{"query": text, "positive": f"doc {i // 2}"} for i, text in enumerate(TEXTS)]
    write(tmp_path / "pairs.jsonl", [json.dumps(row) for row in rows])
    Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    shares = {"dev_share": 0.1, "test_share": 0.2, "split_seed": 3}
    held = splits(Beir(folder(tmp_path / "beir"), **shares).load())
    assert held == splits(Jsonl(str(tmp_path / "pairs.jsonl"), **shares).load())
    assert held == splits(Table(str(tmp_path / "pairs.jsonl"), **shares).load())
    assert held == splits(Table(str(tmp_path / "saved"), **shares).load())
    assert held == splits(Hub(str(tmp_path / "saved"), **shares).load())
    mixed = Mix(
        {"a": Beir(str(tmp_path / "beir"), **shares), "b": Jsonl(str(tmp_path / "pairs.jsonl"), **shares)}
    ).load()
    assert splits(mixed) == held


def test_queries_of_the_same_text_are_held_out_together(tmp_path):
    data = Beir(folder(tmp_path, [*TEXTS, *(f"{text} " for text in TEXTS)]), test_share=0.3).load()
    train, test = ({text.strip() for text in split} for split in (splits(data)["train"], splits(data)["test"]))
    assert train | test == set(TEXTS) and not train & test


def test_a_share_that_holds_out_nothing_is_said(tmp_path, caplog):
    Beir(folder(tmp_path, ["only one"]), dev_share=0.001).load()
    assert "data.dev_share=0.001 holds out none of the 1 training query" in caplog.text


@pytest.mark.parametrize(
    ("shares", "file", "screen"),
    [
        ({"dev_share": 0.1, "test_share": 0.2}, "dev 17, test 44; train keeps 139", "dev 17 and test 44 queries"),
        ({"dev_share": 0.1, "test_share": 1e-9}, "dev 24; train keeps 176", "dev 24 queries"),
        ({"dev_share": 1e-9, "test_share": 1e-9}, None, None),
    ],
)
def test_the_splits_that_got_queries_are_named_with_their_numbers_in_the_log_and_on_the_screen(
    tmp_path, caplog, shares, file, screen
):
    """A line said that queries were held out where there were none, and `mine` and `index` never said how many."""
    caplog.set_level("INFO", "hardneg.data.held_out")
    path = folder(tmp_path / "set")
    Beir(path, **shares).load()
    told = [record for record in caplog.records if record.levelname == "INFO"]
    assert [(record.message, record.in_short) for record in told] == [
        (f"set: queries held out of train: {file}", f"set: {screen} are held out of train")
    ] * (file is not None)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dev": 1.0}, "dev_share"),
        ({"test": -1}, "test_share"),
        ({"seed": -1}, "split_seed"),
        ({"dev": 0.5, "test": 0.5}, "below 1"),
    ],
)
def test_wrong_shares_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Shares(**wrong)
