"""Readers: what the Hugging Face hub holds, from copies of repositories and by name."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import hub_layouts
import layouts
import pytest
from read_back import named, positives

from hardneg.data.readers.guess import kind_at, with_kind
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.nanobeir import SETS, NanoBeir
from hardneg.data.readers.table import Table
from hardneg.errors import ConfigError, DataError

datasets = pytest.importorskip("datasets")
WORLD = layouts.world()
SPLIT = {"dev_share": 0, "test_share": 0}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def check(data, split="train"):
    assert {query: docs for query, docs in positives(data).items()} == {
        line.query: {layouts.joined(line.positive)} for line in WORLD
    }
    assert list(data.qrels) == [split] and len(data.corpus) == len(WORLD)


@pytest.mark.parametrize("write", [hub_layouts.mteb, hub_layouts.mteb_qrels])
def test_mteb(tmp_path, write):
    check(Hub(str(write(tmp_path / "set", WORLD)), **SPLIT).load())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"positive_from": 2}, r"data.positive_from=2 is for pairs with scores, .*data.relevant_from="),
        ({"columns": {"query": "text", "positive": "text"}}, r"data.columns names those of pairs, .*data.config="),
    ],
)
def test_settings_of_pairs_are_not_passed_over(tmp_path, settings, says):
    with pytest.raises(ConfigError, match=says):
        Hub(str(hub_layouts.mteb(tmp_path / "set", WORLD)), **settings).load()


def test_a_copy_from_within_its_folder(tmp_path, monkeypatch):
    """`datasets` wants a name of a folder, which `.` does not have."""
    monkeypatch.chdir(hub_layouts.mteb(tmp_path / "set", WORLD))
    check(data := Hub(".", **SPLIT).load())
    assert data.name == "set"


@pytest.mark.parametrize("write", [hub_layouts.mteb, hub_layouts.mteb_qrels])
def test_a_copy_is_read_as_it_is_now_and_not_as_another_of_its_name_was(tmp_path, write):
    """`datasets` names what it has made of a folder by the folder's last name and its configs, not by its files."""

    def queries(folder):
        return Hub(str(folder), **SPLIT).load().queries.texts.to_pylist()

    written = {name: layouts.world(number) for name, number in (("old", 7), ("new", 9))}
    copies = {name: write(tmp_path / name / "copy", lines) for name, lines in written.items()}
    for name in ("old", "new", "old"):
        assert queries(copies[name]) == [line.query for line in written[name]]
    shutil.rmtree(copies["old"])
    write(copies["old"], written["new"])
    assert queries(copies["old"]) == [line.query for line in written["new"]]


def test_what_tools_note_in_a_copy_makes_no_second_one_of_its_rows(tmp_path, monkeypatch):
    copy = hub_layouts.mteb(tmp_path / "copy", WORLD)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", copy / "made")  # HF_HOME may lie in it too
    for name in (".git/index", ".cache/huggingface/download/README.md.metadata", ".DS_Store"):
        check(Hub(str(copy), **SPLIT).load())
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("something new")
    check(Hub(str(copy), **SPLIT).load())
    assert len(list((copy / "made" / "hardneg").iterdir())) == 1


@pytest.mark.parametrize("above", [".hidden", "cache"])
def test_a_copy_below_a_hidden_folder_or_the_cache_is_read_as_it_is_now(tmp_path, above):
    """So do those lie that the hub's own cache holds, with links to files elsewhere."""
    link = tmp_path / above / "copy"
    for number in (5, 8):
        rows = layouts.pairs(layouts.world(number))
        files = hub_layouts.snapshot(tmp_path / above / str(number), {"pairs": {"train": rows}})
        link.unlink(missing_ok=True)
        link.symlink_to(files)
        assert len(Hub(str(link), config="pairs", **SPLIT).load().queries) == number


def test_pairs_in_a_copy_are_read_as_they_are_now(tmp_path):
    for number in (5, 8):
        rows = layouts.pairs(layouts.world(number))
        folder = hub_layouts.snapshot(tmp_path / "copy", {"pairs": {"train": rows}})
        assert len(Hub(str(folder), config="pairs", **SPLIT).load().queries) == number


@pytest.mark.parametrize("judgements", ["data", "qrels", "default"])
def test_a_copy_without_its_readme(tmp_path, judgements):
    """The parquet files alone were fetched."""
    from datasets import Dataset

    corpus, queries = hub_layouts.texts(WORLD)
    rows = {"corpus/corpus": corpus, "queries/queries": queries, f"{judgements}/test": hub_layouts.judged(WORLD)}
    for name, table in rows.items():
        path = tmp_path / "set" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        (table if isinstance(table, Dataset) else Dataset.from_list(table)).to_parquet(path)
    assert kind_at(tmp_path / "set") == "hub"
    check(Hub(str(tmp_path / "set"), **SPLIT).load(), "test")


@pytest.mark.parametrize("saved", [True, False])
def test_a_corpus_alone_is_one_of_the_hub_whose_documents_are_read(tmp_path, saved):
    """An index needs no more."""
    corpus = datasets.Dataset.from_list(hub_layouts.texts(WORLD)[0])
    if saved:
        corpus.save_to_disk(str(tmp_path / "set" / "corpus"))
    else:
        (tmp_path / "set" / "corpus").mkdir(parents=True)
        corpus.to_parquet(tmp_path / "set" / "corpus" / "corpus-00000-of-00001.parquet")
    (tmp_path / "set" / "index").mkdir()
    for name in (".hardneg-index", "build.json"):  # which is none of the set's
        (tmp_path / "set" / "index" / name).write_text("{}")
    assert kind_at(tmp_path / "set") == "hub"
    assert len(Hub(str(tmp_path / "set")).load_documents().corpus) == len(WORLD)
    with pytest.raises(DataError, match=r"set: config corpus but no config queries; there are: corpus; an index needs"):
        Hub(str(tmp_path / "set")).load()


def test_a_set_without_queries_is_told_what_it_has(tmp_path, monkeypatch):
    """It was told of no such BuilderConfig, or by a relative path of a hub that does not answer."""
    corpus = hub_layouts.texts(WORLD)[0]
    rows = {"corpus": {"corpus": corpus}, "default": {"test": hub_layouts.judged(WORLD)}}
    hub_layouts.snapshot(tmp_path / "set", rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"^set: config corpus but no config queries; there are: corpus, default; an "):
        Hub("set").load()
    assert len(Hub("set").load_documents().corpus) == len(WORLD)


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"),
    [("train.csv", "table"), ("train.jsonl", "jsonl"), ("data/train.csv", "table"), ("train/part.csv", None)],
)
def test_a_corpus_beside_tables_is_not_alone(tmp_path, name, kind, saved):
    folder = tmp_path / "set"
    (folder / "corpus").mkdir(parents=True)
    if saved:
        layouts.as_saved(folder / "corpus", [{"text": "A"}])
    else:
        layouts.as_parquet(folder / "corpus" / "corpus-00000-of-00001.parquet", [{"text": "A"}])
    (folder / name).parent.mkdir(exist_ok=True)
    row = '{"query": "a", "positive": "A"}' if kind == "jsonl" else "query,positive\na,A"
    (folder / name).write_text(f"{row}\n")
    if kind is None:
        with pytest.raises(ConfigError, match="does not say what it is"):
            kind_at(folder)
    else:
        assert kind_at(folder) == kind
    if "/" in name and not saved:
        assert positives(Hub(str(folder), **SPLIT).load()) == {"a": {"A"}}


@pytest.mark.parametrize("score", [",score", ""])
def test_ids_that_lose_zeros_in_front_are_told(tmp_path, score):
    """`datasets` reads 007 of a CSV file as 7; the error sent to look for a query that is there.

    Without scores judgements were read so, too: a run's file for trec_eval then had ids that the user's had not.
    """
    texts = "_id,text\n" + "".join(f"{i:03d},{line.query}\n" for i, line in enumerate(WORLD))
    one = ",1" * bool(score)
    judged = f"query-id,corpus-id{score}\n010,011{one}\n"
    files = {"corpus": texts, "queries": texts, "qrels": f"{judged}000,001{one}\n"}
    configs = "".join(f"- config_name: {name}\n  data_files: {name}.csv\n" for name in files)
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    says = r"query-id is '010', and the ids of queries are read as numbers, without zeros in front; write queries"
    with pytest.raises(DataError, match=says):
        Hub(str(tmp_path)).load()
    (tmp_path / "qrels.csv").write_text(f"{judged}3,4{one}\n")
    assert positives(Hub(str(tmp_path), on_error="skip").load()) == {WORLD[3].query: {WORLD[4].query}}


@pytest.mark.parametrize("place", ["NanoNQ", "datasets--zeta-alpha-ai--NanoNQ/snapshots/0a1b2c"])
def test_a_copy_of_a_nano_set_is_all_test_by_whatever_path(tmp_path, monkeypatch, place):
    """Its only split is called train: from within its folder, or in the hub's own cache, it was trained on."""
    copy = hub_layouts.nano(tmp_path / place, WORLD)
    check(Hub(str(copy)).load(), "test")
    (tmp_path / "a_link").symlink_to(copy)
    check(Hub(str(tmp_path / "a_link")).load(), "test")
    monkeypatch.chdir(copy)
    check(Hub(".").load(), "test")


def test_mteb_with_several_splits(tmp_path):
    corpus, queries = hub_layouts.texts(WORLD)
    qrels = {"train": range(20), "dev": range(20, 30), "test": range(30, 40)}
    folder = hub_layouts.snapshot(
        tmp_path / "set",
        {
            "corpus": {"corpus": corpus},
            "default": {split: hub_layouts.judged(WORLD, rows=rows) for split, rows in qrels.items()},
            "queries": {"train": queries[:25], "dev": queries[20:30], "test": queries[30:]},  # some are in two
        },
    )
    data = Hub(str(folder)).load()
    assert {split: len(data.split(split)) for split in data.qrels} == {"train": 20, "dev": 10, "test": 10}
    assert len(data.queries) == 40
    assert list(Hub(str(folder), subset="test").load().qrels) == ["test"]


def test_a_query_without_a_text_is_refused_in_one_of_several_splits_too(tmp_path):
    corpus, queries = hub_layouts.texts(WORLD)
    broken = [{**queries[5], "text": None}, *queries[6:]]
    judged = {"test": hub_layouts.judged(WORLD)}
    configs = {"corpus": {"corpus": corpus}, "default": judged, "queries": {"train": queries[:5], "test": broken}}
    folder = hub_layouts.snapshot(tmp_path / "set", configs)
    with pytest.raises(DataError, match=r"\[queries\]: row 0 \(from 0\): 'text' is null, not a string"):
        Hub(str(folder)).load()


def test_one_corpus_for_each_split_is_chosen(tmp_path):
    corpus, queries = hub_layouts.texts(WORLD)
    parts = {"dev": slice(0, 20), "test": slice(20, 40)}
    folder = hub_layouts.snapshot(
        tmp_path / "set",
        {
            "corpus": {split: corpus[part] for split, part in parts.items()},
            "qrels": {split: hub_layouts.judged(WORLD)[part] for split, part in parts.items()},
            "queries": {split: queries[part] for split, part in parts.items()},
        },
    )
    with pytest.raises(DataError, match=r"one corpus for each of dev, test; choose with data.subset=, such as dev"):
        Hub(str(folder)).load()
    data = Hub(str(folder), subset="test").load()
    assert list(data.qrels) == ["test"] and len(data.corpus) == len(data.queries) == 20


def test_languages(tmp_path):
    folder = str(hub_layouts.mteb_languages(tmp_path / "set", WORLD))
    check(data := Hub(folder, subset="de", **SPLIT).load())
    assert data.name == "set/de"
    assert len(Hub(folder, subset="en", **SPLIT).load().queries) == 30
    with pytest.raises(DataError, match=r"several sets in one; choose with data.subset=, of (en, de|de, en)"):
        Hub(folder).load()
    with pytest.raises(DataError, match=r"data.subset=fr: no part of that name; data.subset may be one of"):
        Hub(folder, subset="fr").load()
    with pytest.raises(ConfigError, match=r"data.config names pairs and data.subset a part"):
        Hub(folder, subset="fr", config="pairs")


@pytest.mark.parametrize("write", [hub_layouts.nano, hub_layouts.nano_ranked])
def test_a_set_of_nanobeir_is_a_test_set(tmp_path, write):
    check(Hub(str(write(tmp_path / "NanoNQ", WORLD))).load(), "test")


def test_all_of_nanobeir(tmp_path):
    worlds = {f"Nano{name}": layouts.world(10 + i) for i, name in enumerate(SETS)}
    folder = str(hub_layouts.nano_all(tmp_path / "NanoBEIR-en", worlds))
    data = NanoBeir(folder).load()
    assert data.name == "NanoBEIR-en" and list(data.qrels) == ["test"]
    assert {part.name: len(part.queries) for part in data.parts} == {name: len(w) for name, w in worlds.items()}
    one = NanoBeir(folder, subset="nq").load()
    assert one.name == "NanoNQ" and named(one, "test")[0] == ("q0", "d0", 1.0) and len(one.queries) == 17
    assert [part.name for part in NanoBeir(folder, subset=["NanoSciFact", "msmarco"]).load().parts] == [
        "NanoSciFact",
        "NanoMSMARCO",
    ]
    with pytest.raises(ConfigError, match=r"data.subset is 'squad'; name each set once, of: ClimateFEVER"):
        NanoBeir(folder, subset="squad")
    with pytest.raises(DataError, match=r"data.subset=NanoX: neither configs of that name nor a split"):
        Hub(folder, subset="NanoX").load()


def test_nanobeir_of_one_folder_a_set(tmp_path, caplog):
    hub_layouts.nano(tmp_path / "NanoNQRetrieval", WORLD)
    corpus, queries = hub_layouts.texts(WORLD, title=False)
    hub_layouts.snapshot(
        tmp_path / "NanoFEVER",
        {
            "corpus": {"train": [*corpus, {"_id": "empty", "text": ""}]},  # as published
            "qrels": {"train": hub_layouts.judged(WORLD, score=False)},
            "queries": {"train": queries},
        },
    )
    data = NanoBeir(str(tmp_path), subset=["NQ", "FEVER"]).load()
    assert [(part.name, len(part.docs)) for part in data.parts] == [("NanoNQ", 40), ("NanoFEVER", 40)]
    assert data.skipped == {"NanoFEVER: empty text": 1}
    with pytest.raises(DataError, match=r"no folder NanoClimateFEVER \(leave it out with data.subset"):
        NanoBeir(str(tmp_path)).load()
    assert NanoBeir("zeta-alpha-ai")._set("NanoNQ").repo == "zeta-alpha-ai/NanoNQ"
    assert NanoBeir()._set("NanoNQ").subset == "NanoNQ"


def test_a_hub_name_is_a_table(monkeypatch):
    rows = [{"question": line.query, "document": layouts.joined(line.positive)} for line in WORLD]
    asked = hub_layouts.on_the_hub(monkeypatch, rows)
    check(data := Table("someone/faq", revision="v1", **SPLIT).load())
    assert data.name == "someone/faq" and asked == [("someone/faq", None, "v1")]
    Table("someone/faq", config="pair", columns={"query": "question", "positive": "document"}).load()
    assert asked[-1] == ("someone/faq", "pair", None)
    assert kind_at(Path("someone/faq")) == "table"


def test_a_hub_name_fails_at_once_without_a_network(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"someone/faq: no such file or folder here, so taken as a name on the hub; .*"):
        Table("someone/faq").load()
    with pytest.raises(DataError, match=r"not in the cache, and the hub http://127.0.0.1:9 does not answer"):
        NanoBeir().load()
    assert time.perf_counter() - start < 10
    (tmp_path / "pairs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such file or folder; expected a file"):  # its folder is there: a mistake
        Table("pairs/faq").load()
    with pytest.raises(ConfigError, match=r"data.revision is for a set on the hub"):
        Table("pairs/faq.csv", revision="v1")


def test_copies_of_the_hub_are_guessed_and_named_by_repo(tmp_path):
    mteb = hub_layouts.mteb(tmp_path / "mteb", WORLD)
    assert with_kind([f"data.path={mteb}", "seed=1"]) == (["data=hub", f"data.repo={mteb}", "seed=1"], "hub")
    every = hub_layouts.nano_all(tmp_path / "all", {"NanoNQ": WORLD, "NanoFEVER": WORLD})
    assert with_kind([f"data.path={every}"])[1] == "nanobeir"
    for name in ("NanoNQ", "NanoFEVER"):
        hub_layouts.nano(tmp_path / "sets" / name, WORLD)
    assert kind_at(tmp_path / "sets") == "nanobeir" and kind_at(tmp_path / "sets/NanoNQ") == "hub"
    for config, rows in zip(("corpus", "queries"), hub_layouts.texts(WORLD), strict=True):
        layouts.as_saved(tmp_path / "saved" / config, rows)
    assert kind_at(tmp_path / "saved") == "hub"
