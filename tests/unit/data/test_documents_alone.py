"""Documents alone, which an index reads: they are those of the whole set, and no query or judgement need fit them."""

from __future__ import annotations

import gzip
import json
import shutil

import collection_layouts
import hub_layouts
import ir_datasets_layout
import layouts
import pytest
from omegaconf import OmegaConf

from hardneg.data import open_set as module
from hardneg.data.open_set import open_documents, open_set
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.collection import Collection
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.ir_datasets_set import IrDatasets
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.nanobeir import NanoBeir
from hardneg.data.readers.table import Table
from hardneg.data.toy import Toy
from hardneg.errors import DataError
from hardneg.preflight.data import ReadOnce

WORLD = layouts.world()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")


def beir(folder):
    folder.mkdir()
    corpus, queries = hub_layouts.texts(WORLD)
    layouts.as_jsonl(folder / "corpus.jsonl", corpus)
    layouts.as_jsonl(folder / "queries.jsonl", queries)
    rows = [(row["query-id"], row["corpus-id"], 1) for row in hub_layouts.judged(WORLD)]
    collection_layouts.tsv(folder / "qrels" / "train.tsv", [("query-id", "corpus-id", "score"), *rows])
    return folder


def every_reader(folder):
    """A recipe for each layout, by name."""
    for name in layouts.LAYOUTS:
        kind, path, settings, _ = layouts.write(folder / name, name)
        yield name, {"table": Table, "jsonl": Jsonl}[kind](str(path), **settings)
    for name, (write, settings, _) in collection_layouts.COLLECTIONS.items():
        yield name, Collection(str(write(folder / name, WORLD)), **settings)
    for write in (hub_layouts.mteb, hub_layouts.mteb_qrels, hub_layouts.nano, hub_layouts.nano_ranked):
        yield write.__name__, Hub(str(write(folder / write.__name__, WORLD)))
    yield "languages", Hub(str(hub_layouts.mteb_languages(folder / "languages", WORLD)), subset="de")
    worlds = {"NanoNQ": layouts.world(12), "NanoSciFact": WORLD}
    nano = str(hub_layouts.nano_all(folder / "nano", worlds))
    yield "one of NanoBEIR", NanoBeir(nano, subset="SciFact")
    yield "several of NanoBEIR", NanoBeir(nano, subset=["NQ", "SciFact"])
    yield "pairs on the hub", Hub(str(layouts.as_saved(folder / "saved", layouts.triplets(WORLD))))
    yield "beir", Beir(str(beir(folder / "beir")), name="another name", dev_share=0.1)
    yield "generated", Toy(docs=30, queries=60, names=8, attributes=4)


def test_they_are_those_of_the_whole_set_in_every_layout(tmp_path):
    """Name, ids, texts and order: what an index is known by."""
    for folder in (*layouts.LAYOUTS, *collection_layouts.COLLECTIONS):
        (tmp_path / folder).mkdir()
    for name, recipe in every_reader(tmp_path):
        alone, whole = open_documents(recipe, tmp_path / "cache"), recipe.load()
        assert alone.name == whole.name and alone.mixed == whole.mixed, name
        assert alone.corpus.ids.equals(whole.corpus.ids) and alone.corpus.texts.equals(whole.corpus.texts), name


def test_and_in_a_set_of_ir_datasets(tmp_path, monkeypatch):
    pytest.importorskip("ir_datasets")
    ir_datasets_layout.register(tmp_path, monkeypatch)
    recipe = IrDatasets("tiny", docpairs=True)
    assert recipe.load_documents().corpus.fingerprint == recipe.load().corpus.fingerprint
    (tmp_path / "train.qrels").unlink()
    assert len(IrDatasets("tiny").load_documents().corpus) == len(WORLD)


def without_the_first(path, end="\n"):
    """Take the first document out of a file."""
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    rest = text.partition(end)[2]
    path.write_bytes(gzip.compress(rest.encode()) if packed else rest.encode())


DELETED = {
    "MS MARCO passage": ("collection.tsv", "\n"),
    "MS MARCO document": ("msmarco-docs.tsv.gz", "\n"),
    "mMARCO": ("data/google/collections/german_collection.tsv", "\n"),
    "MIRACL": ("miracl-corpus-v1.0-de/docs-0.jsonl.gz", "\n"),
    "TREC": ("docs/la/LA000000", "</DOC>"),
}


@pytest.mark.parametrize("name", [*DELETED, "beir", "tevatron ids", "a table by ids"])
def test_a_document_that_was_deleted_since_is_gone_and_that_is_all(name, tmp_path):
    if name in DELETED:
        write, settings, _ = collection_layouts.COLLECTIONS[name]
        folder = write(tmp_path / "set", WORLD)
        recipe, (file, end) = Collection(str(folder), **settings), DELETED[name]
    elif name == "beir":
        folder = beir(tmp_path / "set")
        recipe, file, end = Beir(str(folder)), "corpus.jsonl", "\n"
    else:
        _, folder, *_ = layouts.write(tmp_path, "tevatron ids")
        recipe, file, end = (Table if name == "a table by ids" else Jsonl)(str(folder)), "corpus.jsonl", "\n"
    before = recipe.load().corpus.texts.to_pylist()
    without_the_first(folder / file, end)
    with pytest.raises(DataError, match=r"document '.*' is (not in the|in no) corpus"):
        recipe.load()
    left = recipe.load_documents().corpus.texts.to_pylist()
    assert sorted(left) == sorted(set(before) - {layouts.joined(WORLD[0].positive)})


@pytest.mark.parametrize("write", [hub_layouts.mteb, hub_layouts.mteb_qrels])
def test_a_document_that_was_deleted_from_a_copy_of_the_hub(write, tmp_path):
    folder = write(tmp_path / "set", WORLD)
    shutil.rmtree(folder / "corpus")
    again = write(tmp_path / "other", WORLD[1:])
    shutil.copytree(again / "corpus", folder / "corpus")
    with pytest.raises(DataError, match="is not in the corpus"):
        Hub(str(folder)).load()
    assert len(Hub(str(folder)).load_documents().corpus) == len(WORLD) - 1


def test_neither_queries_nor_judgements_need_be_there(tmp_path):
    folder = beir(tmp_path / "set")
    shutil.rmtree(folder / "qrels")
    (folder / "queries.jsonl").write_text("broken\n")
    assert len(Beir(str(folder)).load_documents().corpus) == len(WORLD)
    assert len(Collection(str(folder)).load_documents().corpus) == len(WORLD)
    (folder / "queries.jsonl").unlink()
    assert len(Beir(str(folder)).load_documents().corpus) == len(WORLD)
    assert len(Collection(str(folder), documents="corpus.jsonl").load_documents().corpus) == len(WORLD)


def test_nor_a_config_or_a_subset_with_judgements(tmp_path, monkeypatch):
    """Of a set on the hub, and of one of ir_datasets."""
    corpus, queries = hub_layouts.texts(WORLD)
    configs = {"de-corpus": {"train": corpus}, "de-queries": {"train": queries}}
    languages = Hub(str(hub_layouts.snapshot(tmp_path / "languages", configs)), subset="de")
    assert len(languages.load_documents().corpus) == len(WORLD)
    with pytest.raises(DataError, match="config de-corpus but none of the judgements, de-qrels"):
        languages.load()
    whole = Hub(str(hub_layouts.snapshot(tmp_path / "whole", {"corpus": {"corpus": corpus}})))
    assert len(whole.load_documents().corpus) == len(WORLD)

    pytest.importorskip("ir_datasets")
    ir_datasets_layout.register(tmp_path, monkeypatch, {"part": range(3)})  # is no split of ours
    assert len(IrDatasets("tiny").load_documents().corpus) == len(WORLD)
    with pytest.raises(DataError, match="tiny: no judgements of its own"):
        IrDatasets("tiny").load()


def test_documents_themselves_are_checked_as_ever(tmp_path, caplog):
    folder = beir(tmp_path / "set")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "d3", "text": "again"}) + "\n")
    with pytest.raises(DataError, match=r"corpus.jsonl:41: id 'd3' was used in line 4"):
        Beir(str(folder)).load_documents()
    alone = Beir(str(folder), on_error="skip").load_documents()
    assert len(alone.corpus) == len(WORLD) and alone.skipped == {"duplicate id": 1}
    assert "skipped 1 bad row (duplicate id: 1)" in caplog.text
    (folder / "corpus.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"'set' has no documents left \(skipped: missing field: 1\)"):
        Beir(str(folder), on_error="skip").load_documents()
    (folder / "corpus.jsonl").unlink()
    for reader, said in ((Beir, "no corpus.jsonl"), (Collection, "no documents")):
        with pytest.raises(DataError, match=said):
            reader(str(folder)).load_documents()


def test_a_large_set_is_read_once_and_a_whole_one_that_is_there_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WORTH_IT", 1)
    cache, recipe = tmp_path / "cache", Beir(str(beir(tmp_path / "set")))
    read = open_documents(recipe, cache)
    with monkeypatch.context() as patched:
        patched.setattr(Beir, "load_documents", lambda self: pytest.fail("read again"))
        again = open_documents(recipe, cache)
    assert again.corpus.fingerprint == read.corpus.fingerprint and not len(again.queries) and not again.qrels
    whole = open_set(recipe, cache)
    assert whole.corpus.fingerprint == read.corpus.fingerprint and len(whole.queries)

    cache = tmp_path / "another"
    open_set(recipe, cache)
    monkeypatch.setattr(Beir, "load_documents", lambda self: pytest.fail("read again"))
    assert open_documents(recipe, cache).corpus.fingerprint == read.corpus.fingerprint


def test_jobs_that_ask_no_query_are_not_refused_before_the_first(tmp_path):
    """A sweep over kinds of an index reads its data before the first job."""
    folder = beir(tmp_path / "set")
    without_the_first(folder / "corpus.jsonl")
    node = {"_target_": "hardneg.data.readers.beir.Beir", "path": str(folder)}
    ReadOnce().check(OmegaConf.create({"data": node, "cache": str(tmp_path / "cache")}))
    with pytest.raises(DataError, match="is not in the corpus"):
        ReadOnce().check(OmegaConf.create({"data": node, "cache": str(tmp_path / "cache"), "split": "train"}))
