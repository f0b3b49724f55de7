"""Readers: BEIR folders, bad arguments, and sets of your own."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from read_back import CORPUS, TRAIN, beir, check_compact, named, write

from hardneg.data.readers.beir import Beir
from hardneg.data.readers.collection import Collection
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.ir_datasets_set import IrDatasets
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.errors import ConfigError, DataError

SETS = sorted(Path(os.environ.get("HARDNEG_TEST_SETS", "nowhere")).glob("*/corpus.jsonl"))  # in BEIR layout


def test_beir_keeps_ids_and_joins_titles(tmp_path):
    data = Beir(beir(tmp_path / "set")).load()
    assert data.name == "set" and not data.skipped and data.given is None
    assert data.corpus.ids.to_pylist() == ["007", "7", "d2"]
    assert data.corpus.take([0, 1, 2]) == ["James Bond", "seven", "two"]
    assert named(data, "train") == [("q0", "007", 1.0), ("q1", "7", 2.0)]
    with pytest.raises(DataError, match="no split 'dev'"):
        data.split("dev")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"title": None, "text": "x"}, "x"),
        ({"title": " ", "text": "x "}, "x "),
        ({"title": "t", "text": ""}, "t"),
        ({"title": "t", "text": "line\u2028end"}, "t line\u2028end"),
    ],
)
def test_document_text(tmp_path, row, text):
    corpus = [*CORPUS, json.dumps({"_id": "d3", **row}, ensure_ascii=False)]
    assert Beir(beir(tmp_path, corpus=corpus)).load().corpus[3] == text


@pytest.mark.parametrize(
    "train",
    [
        TRAIN[1:],
        ["q0 0 007 1", "q1 0 7 2"],
        ["q0\t0\t007\t1", "q1\tQ0\t7\t2"],
        ["q0\t0 007 1", "q1 0\t7\t2"],
        ["qid\tpid\trel", *TRAIN[1:]],
        ["\ufeff" + TRAIN[0] + "\r", "q0\t007\t1\r", "", "q1\t7\t2\r"],
        [*TRAIN, "q0\t007\t1.0"],  # says the same again
    ],
    ids=["no header", "TREC blanks", "TREC tabs", "TREC both", "other header", "BOM, CRLF, blank line", "repeated row"],
)
def test_qrels_layouts(tmp_path, train):
    data = Beir(beir(tmp_path, train=train)).load()
    assert named(data, "train") == [("q0", "007", 1.0), ("q1", "7", 2.0)]


def test_split_names_scores_and_gz(tmp_path):
    beir(tmp_path)
    for path in [*tmp_path.glob("*.jsonl"), tmp_path / "qrels" / "train.tsv"]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    write(tmp_path / "qrels" / "validation.tsv", ["q0\td2\t0.5", "q0\t7\t0", "q0\t007\t-1"])
    data = Beir(str(tmp_path), name="mine").load()
    assert data.name == "mine" and sorted(data.qrels) == ["dev", "train"]
    assert named(data, "dev") == [("q0", "d2", 0.5), ("q0", "7", 0.0), ("q0", "007", -1.0)]
    write(tmp_path / "qrels" / "dev.tsv", TRAIN)
    with pytest.raises(DataError, match=r"validation\.tsv: split 'dev' is in dev\.tsv too"):
        Beir(str(tmp_path)).load()


def test_missing_files_say_what_is_there(tmp_path):
    path = beir(tmp_path / "set")
    with pytest.raises(DataError, match=rf"nowhere: not a folder; .*qrels/\*\.tsv.*{tmp_path} holds: set/"):
        Beir(str(tmp_path / "nowhere")).load()
    (tmp_path / "set" / "queries.jsonl").rename(tmp_path / "set" / "questions.jsonl")
    with pytest.raises(
        DataError, match=r"no queries\.jsonl, plain or packed .*holds: corpus\.jsonl, qrels/, questions\.jsonl"
    ):
        Beir(path).load()
    (tmp_path / "set" / "questions.jsonl").rename(tmp_path / "set" / "queries.jsonl")
    (tmp_path / "set" / "qrels" / "train.tsv").unlink()
    with pytest.raises(DataError, match=r"no qrels/\*\.tsv; .*qrels holds: nothing"):
        Beir(path).load()


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        (lambda: Beir("x", on_error="ignore"), "data.on_error"),
        (lambda: Beir(" "), "data.path"),
        (lambda: Jsonl(""), "data.path"),
        (lambda: Jsonl("x", on_error="Skip"), "data.on_error"),
        (lambda: Jsonl("x", dev_share=-0.1), "data.dev_share"),
        (lambda: Jsonl("x", test_share=1.0), "data.test_share"),
        (lambda: Jsonl("x", dev_share=float("nan")), "data.dev_share"),
        (lambda: Jsonl("x", dev_share=0.5, test_share=0.5), "data.dev_share"),
        (lambda: Hub(""), "data.repo"),
        (lambda: Hub("x", split=""), "data.split"),
        (lambda: Hub("x", on_error=""), "data.on_error"),
        (lambda: Hub("x", config="pairs", qrels_repo="y"), "data.config"),
        (lambda: Hub("x", dev_share=2), "data.dev_share"),
    ],
)
def test_bad_arguments_name_their_key(recipe, key):
    with pytest.raises(ConfigError, match=key):
        recipe()


KINDS = [
    *[("beir", Beir), ("jsonl", Jsonl), ("hub", Hub), ("table", Table)],
    *[("collection", Collection), ("ir_datasets", IrDatasets)],
]


@pytest.mark.parametrize(("name", "recipe"), KINDS)
def test_config_names_every_argument_with_its_default(name, recipe):
    config = OmegaConf.load(Path(__file__).parents[3] / "conf" / "data" / f"{name}.yaml")
    required = fields(recipe)[0].name
    assert OmegaConf.is_missing(config, required)
    config[required] = "somewhere"
    assert config.pop("_target_") == f"{recipe.__module__}.{recipe.__name__}"
    assert recipe(**config) == recipe("somewhere")
    assert list(config) == [field.name for field in fields(recipe)]


@pytest.mark.slow
@pytest.mark.parametrize("corpus", SETS, ids=[path.parent.name for path in SETS])
def test_sets_of_your_own_are_read_whole(corpus):
    """Those of HARDNEG_TEST_SETS, a folder of folders; skipped without it."""
    data = Beir(str(corpus.parent)).load()
    assert data.name == corpus.parent.name and not data.skipped and "test" in data.qrels
    check_compact(data)


def test_ids_that_are_numbers_are_read_as_strings_and_a_line_says_so(tmp_path, caplog):
    corpus = [json.dumps({"_id": number, "text": f"t {number}"}) for number in (7, 0, 12345678901234567890)]
    queries = ['{"_id": -1, "text": "q"}']
    train = [TRAIN[0], "-1\t12345678901234567890\t1", "-1\t7\t1"]
    data = Beir(beir(tmp_path, corpus, queries, train)).load()
    assert data.corpus.ids.to_pylist() == ["7", "0", "12345678901234567890"] and data.queries.ids.to_pylist() == ["-1"]
    assert named(data, "train") == [("-1", "12345678901234567890", 1.0), ("-1", "7", 1.0)]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{tmp_path}/{name}.jsonl: '_id' is a number in every row; read as a string (7 as '7')"
        for name in ("corpus", "queries")
    ]


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (7, "7", r"'_id' is str \('7'\) where the rows before have int"),
        ("7", 7, r"'_id' is int \(7\) where the rows before have str"),
        (7, 7, "id '7' was used in line 1"),
        ("8", 7.0, "'_id' is float, not a string or a whole number"),
        ("8", True, "'_id' is bool, not a string or a whole number"),
        ("8", None, "'_id' is null, not a string or a whole number"),
    ],
)
def test_7_and_the_string_7_in_one_file_are_refused(tmp_path, first, second, says):
    corpus = [json.dumps({"_id": number, "text": str(place)}) for place, number in enumerate((first, second))]
    with pytest.raises(DataError, match=rf"corpus\.jsonl:2: {says}"):
        Beir(beir(tmp_path, corpus)).load()
