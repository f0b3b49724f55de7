"""The matrix: every layout and format is trained on, mined and evaluated, to what a BEIR folder of the same gives."""

from __future__ import annotations

import json

import collection_layouts
import hub_layouts
import ir_datasets_layout
import layouts
import pytest
from every import in_turn

RUN = ["encoder=static", "encoder.dim=16", "batch_size=16", "trainer.max_epochs=1", "logger=csv"]
SHARES = ["data.dev_share=0.2", "data.test_share=0.2"]
HUB = {
    "MTEB": (hub_layouts.mteb, []),
    "MTEB qrels": (hub_layouts.mteb_qrels, []),
    "MTEB languages": (hub_layouts.mteb_languages, ["data.subset=de"]),
}
CASES = [*layouts.LAYOUTS, *collection_layouts.COLLECTIONS, *HUB, "ir_datasets", "hub name"]


def beir(folder):
    """The same world and the same held-out queries in BEIR layout, whose reader has nothing in common with these."""
    lines = layouts.world()
    layouts.as_jsonl(folder / "queries.jsonl", [{"_id": f"q{i}", "text": line.query} for i, line in enumerate(lines)])
    corpus = [
        {"_id": f"d{i}", "title": title, "text": text}
        for i, (title, text) in enumerate(line.positive for line in lines)
    ]
    layouts.as_jsonl(folder / "corpus.jsonl", corpus)
    (folder / "qrels").mkdir()
    (folder / "qrels/train.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in range(len(lines))))
    return folder


def written(name, folder, monkeypatch):
    """Write one case; return the words that name it, the kind that is guessed, what comes with each query."""
    world = layouts.world()
    if name in layouts.LAYOUTS:
        kind, path, settings, has = layouts.write(folder, name)
        return [f"data.path='{path}'", *(f"data.{key}={value}" for key, value in settings.items())], kind, has
    if name in collection_layouts.COLLECTIONS:
        write, settings, given = collection_layouts.COLLECTIONS[name]
        words = [f"data.path='{write(folder / name, world)}'", *(f"data.{k}={v}" for k, v in settings.items())]
        return words, "collection", "negatives" * given
    if name in HUB:
        write, words = HUB[name]
        return [f"data.path='{write(folder / name, world)}'", *words], "hub", ""
    if name == "ir_datasets":
        pytest.importorskip("ir_datasets")
        ir_datasets_layout.register(folder / name, monkeypatch)
        return ["data=ir_datasets", "data.id=tiny", "data.docpairs=true"], None, "negatives"
    hub_layouts.on_the_hub(monkeypatch, layouts.triplets(world))
    return ["data.path=someone/triplets"], "table", "negatives"


def trained(folder):
    return json.loads((folder / "summary.json").read_text())["test"]


def mined(path):
    """What the mined file says, whatever the order."""
    return {tuple(json.loads(line).items()) for line in path.read_text().splitlines()}


@pytest.fixture
def reference(once, hardneg, tmp_path, tmp_path_factory, monkeypatch):
    """The BEIR folder: BM25's test, what is mined, a checkpoint and how it ranks; once for all layouts."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")

    def make():
        kept = tmp_path_factory.mktemp("reference")
        words = [f"data.path={beir(kept / 'beir')}", *SHARES]
        hardneg("train", *words, *RUN, f"hydra.run.dir={kept / 'run'}")
        checkpoint = kept / "run/checkpoints/best.ckpt"
        told = {"trained": trained(kept / "run"), "checkpoint": checkpoint, "mined": mine(hardneg, kept, words)}
        return told | {"evaluated": evaluate(hardneg, kept, words, checkpoint)}

    return once("reference", make)


def mine(hardneg, folder, words):
    """What `hardneg mine` exports."""
    export = ["export.form=triplet", f"export.path={folder / 'mined.jsonl'}", "negatives=[bm25]", "negatives.bm25.k=40"]
    hardneg("mine", *words, *export, f"hydra.run.dir={folder / 'mine'}")
    return mined(folder / "mined.jsonl")


def evaluate(hardneg, folder, words, checkpoint):
    """How the reference's checkpoint ranks the test queries."""
    hardneg("evaluate", *words, f"ckpt_path={checkpoint}", "evaluate.bm25=null", f"hydra.run.dir={folder / 'evaluate'}")
    return trained(folder / "evaluate")["checkpoint"]


# All commands read by the same code, so every third case evaluates too.
@pytest.mark.parametrize(("name", "evaluates"), in_turn(CASES, [True, False, False]))
def test_train_mine_and_evaluate_need_only_the_path(hardneg, tmp_path, monkeypatch, reference, name, evaluates):
    words, kind, has = written(name, tmp_path, monkeypatch)
    words += SHARES
    sources = ["negatives=[in_batch,bm25,given]" if has else "negatives=[in_batch,bm25]"]
    sources += ["loss=[infonce,kl,margin_mse]"] if has == "scores" else []
    said = hardneg("train", *words, *sources, *RUN, "hydra.run.dir=run")
    assert kind is None or f" as data={kind} (data=... to read it otherwise)" in said.stderr
    test = trained(tmp_path / "run")
    assert test["BM25"] == pytest.approx(reference["trained"]["BM25"])
    assert test["after"]["recall@100"] == 1
    stores = [json.loads(line) for line in (tmp_path / "run/stores.jsonl").read_text().splitlines()]
    assert [store["source"] for store in stores] == ["bm25"]
    assert mine(hardneg, tmp_path, words) == reference["mined"]
    # flag's prompt stands before every query: to the reference's model those are others.
    if evaluates and not name.startswith("flag"):
        assert evaluate(hardneg, tmp_path, words, reference["checkpoint"]) == pytest.approx(reference["evaluated"])


NANO = {"nano": hub_layouts.nano, "nano with rankings": hub_layouts.nano_ranked}


@pytest.mark.parametrize("name", NANO)
def test_a_set_of_nanobeir_is_evaluated_and_not_trained_on(hardneg, tmp_path, reference, name):
    path = NANO[name](tmp_path / "NanoNQ", layouts.world())
    said = hardneg("evaluate", f"data.path={path}", f"ckpt_path={reference['checkpoint']}", "hydra.run.dir=run")
    assert " as data=hub (data=... to read it otherwise)" in said.stderr
    assert trained(tmp_path / "run")["checkpoint"]["recall@100"] == 1  # of all 40 queries
    refused = hardneg("train", f"data.path={path}", *RUN, code=2)
    assert "has no split 'train'; it has test" in refused.stdout + refused.stderr


@pytest.mark.parametrize("form", ["one repository", "a folder a set"])
def test_a_run_is_evaluated_on_nanobeir_by_name(hardneg, tmp_path, reference, form):
    worlds = {f"Nano{name}": layouts.world(20 + 5 * i) for i, name in enumerate(("NQ", "SciFact", "MSMARCO"))}
    if form == "one repository":
        folder = hub_layouts.nano_all(tmp_path / "NanoBEIR-en", worlds)
    else:
        folder = tmp_path / "nano"
        for name, world in worlds.items():
            hub_layouts.nano(folder / name, world)
    words = ["data=nanobeir", f"data.repo={folder}", "data.subset=[NQ,SciFact,MSMARCO]"]
    hardneg("evaluate", *words, f"ckpt_path={reference['checkpoint']}", "hydra.run.dir=run")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    by_set = {name: means["checkpoint"]["ndcg@10"] for name, means in summary["test_by_set"].items()}
    assert list(by_set) == list(worlds)
    assert summary["test"]["checkpoint"]["ndcg@10"] == pytest.approx(sum(by_set.values()) / 3)
    # Each set alone is what it is among the others: queries are ranked within their own documents.
    hardneg("evaluate", *words[:2], "data.subset=SciFact", f"ckpt_path={reference['checkpoint']}", "hydra.run.dir=one")
    assert trained(tmp_path / "one")["checkpoint"]["ndcg@10"] == pytest.approx(by_set["NanoSciFact"])


def test_columns_are_named_on_the_command_line(hardneg, tmp_path):
    rows = [{"one": line.query, "two": layouts.joined(line.positive), "three": "x"} for line in layouts.world()]
    path = layouts.as_csv(tmp_path / "x.csv", rows)
    words = ["data=table", f"data.path={path}", "data.dev_share=0.2", "data.test_share=0.2", "evaluate.bm25=null"]
    hardneg("train", *words, "data.columns={query: one, positive: two}", *RUN, "hydra.run.dir=run")
    refused = hardneg("train", *words, "data.columns={query: one, positve: two}", *RUN, "hydra.run.dir=run", code=2)
    assert "did you mean data.columns.positive?" in refused.stderr
    refused = hardneg("train", *words, "data.columns={query: one}", *RUN, "hydra.run.dir=other", code=2)
    assert "data.columns names no positive" in refused.stdout + refused.stderr
