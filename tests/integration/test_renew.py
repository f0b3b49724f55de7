"""A live index is renewed by one command, which may be killed, asked again, and told no by the gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_resume import end_state, same

from hardneg.renew import steps
from hardneg.renew.plan import index_words
from hardneg.serving.folder import IndexFolder
from hardneg.stages.run import alone, launch

TRAIN = ["batch_size=8", "optimizer.lr=0.05", "logger=csv", "checkpoint.every_n_steps=1", "negatives.mined.depth=20"]
LOOSE = ["--gate-delta", "-1", "--gate-lost", "1"]


def write(folder, data, docs):
    """Write a BEIR folder of the first so many documents, with the queries whose relevant ones are among them."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    rows = [{"_id": data.corpus.ids[row].as_py(), "title": "", "text": data.corpus[row]} for row in range(docs)]
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = [{"_id": data.queries.ids[row].as_py(), "text": data.queries[row]} for row in range(len(data.queries))]
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in asked))
    for split, qrels in data.qrels.items():
        pairs = [(q, d) for q, d in zip(qrels.queries.tolist(), qrels.docs.tolist(), strict=True) if d < docs]
        lines = [f"{data.queries.ids[q].as_py()}\t{data.corpus.ids[d].as_py()}\t1\n" for q, d in pairs]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))


@pytest.fixture
def inside(hardneg, monkeypatch):
    """Train in this process (importing takes seconds), but for a training that is to be killed."""
    trained = []

    def train(words, lock):
        trained.append(words)
        if any("SIGKILL" in word for word in words):
            return launch(words, lock)
        try:
            said = hardneg(*words).stderr
        except AssertionError as error:  # of the exit code, the first word after `exit`
            return int(str(error).split()[1]), None
        trained[-1] = said
        return 0, None

    monkeypatch.setattr(steps, "launch", train)
    return trained


@pytest.fixture
def live(hardneg, toy, tmp_path):
    """An index of the first 100 documents, by a model of an epoch whose words were learnt from them."""
    write(tmp_path / "data", toy, 100)
    encoder = ["encoder.dim=16", "encoder.vocab_size=300"]
    words = ["data=beir", "data.path=data", "evaluate.before=false", "evaluate.bm25=null", "trainer.max_epochs=1"]
    hardneg("train", *words, *encoder, *TRAIN[:3], "hydra.run.dir=first")
    hardneg("index", "ckpt_path=first/checkpoints/best.ckpt", "data=beir", "data.path=data", "index.path=i", "shard=16")
    return IndexFolder("i")


def state(live):
    return [json.loads(path.read_text()) for path in sorted(Path("i/renewals").glob("*/renewal.json"))]


def test_new_data_a_judged_build_beside_the_live_one_a_switch_and_then_nothing_new(hardneg, live, inside, toy):
    write(Path("more"), toy, 120)
    before = live.live()
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more").stderr
    assert "20 to embed, 100 are there" in said  # by the live model, which mines
    assert "holds 120 of 120 documents as this model embeds them" in inside[0]
    assert "120 to embed, 0 are there" in said and live.live().name == before.name
    (renewal,) = state(live)
    ready = live.named(renewal["new"])
    assert renewal["state"] == "ready" and f"hardneg index switch {live.root} {ready.name}" in said
    assert ready.manifest.source["ckpt_path"] == renewal["ckpt_path"]
    folder = Path("i/renewals") / Path(renewal["ckpt_path"]).parts[-4]
    assert {"report.html", "report.md", "report.json", "old.run", "new.run"} <= {path.name for path in folder.iterdir()}
    report = json.loads((folder / "report.json").read_text())
    assert before.name in Path(folder / "report.md").read_text() or ready.name in report["new"]

    # Asked again nothing is trained or embedded; told to, it switches; and then the same data are nothing new.
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more", "--switch").stderr
    assert len(inside) == 1 and f"live: build {ready.name}" in said and live.live().name == ready.name
    assert "nothing new" in hardneg("renew", "i", *TRAIN, *LOOSE).stderr and len(inside) == 1
    hardneg("check", "i")
    assert hardneg("search", "i", "where").stdout

    # Anyway, or with other settings, the new live model is trained on; its words stay those of the first corpus.
    hardneg("renew", "i", *TRAIN, *LOOSE, "--anyway", "data.path=data")
    assert len(inside) == 2 and len(state(live)) == 2
    paths = [torch.load(path, weights_only=True) for path in ("first/checkpoints/best.ckpt", renewal["ckpt_path"])]
    assert paths[0]["hardneg"]["tokenizer"] == paths[1]["hardneg"]["tokenizer"]


def test_the_gate_says_no_and_the_live_index_stays(hardneg, live, inside):
    before = live.live().name
    said = hardneg("renew", "i", *TRAIN, "--gate-delta", "0.9", "--switch", code=1).stderr
    assert "gate: ndcg@10" in said and "reaches below +0.9" in said and live.live().name == before
    (renewal,) = state(live)
    assert renewal["state"] == "refused" and renewal["gate"]["reasons"]
    hardneg("renew", "i", *TRAIN, *LOOSE, "--switch")  # the same renewal under other limits: nothing is done twice
    assert len(inside) == 1 and live.live().name == renewal["new"]


def test_killed_in_training_it_goes_on_and_ends_with_the_same_weights(hardneg, live, inside, tmp_path):
    hardneg("renew", "i", *TRAIN, *LOOSE)
    whole = end_state(Path(state(live)[0]["ckpt_path"]).parents[1])
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 2, signal_name: SIGKILL}"
    said = hardneg("renew", "i", *TRAIN, *LOOSE, stop, code=2).stderr
    assert "training ended with exit code -9" in said
    hardneg("renew", "i", *TRAIN, *LOOSE, stop)
    (cut,) = (path.parent for path in Path("i/renewals").glob("*/train/interrupted"))
    assert same(whole, end_state(cut)) is None


def test_checkpoints_that_no_build_needs_go_with_the_next_renewal_and_reports_stay(hardneg, live, inside):
    for seed in (1, 2, 3):
        hardneg("renew", "i", *TRAIN, *LOOSE, f"seed={seed}")
    kept = sorted(len(list(path.glob("train/checkpoints/*"))) for path in Path("i/renewals").iterdir() if path.is_dir())
    assert kept[0] == 0 and kept[-1] == 2
    assert len(list(Path("i/renewals").glob("*/report.html"))) == 3
    used = [build.manifest.source["ckpt_path"] for build in live.builds()]
    assert all(Path(path).is_file() for path in used)


def test_the_words_of_an_index_keep_what_other_data_leave(live):
    build, words = live.live(), ["data=beir", "data.path=data", "shard=16"]
    assert build.manifest.source["words"] == words
    assert index_words(build, []) == words
    assert index_words(build, ["data.path=new"]) == ["data=beir", "shard=16", "data.path=new"]
    assert index_words(build, ["data=jsonl", "data.path=new"]) == ["shard=16", "data=jsonl", "data.path=new"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["encoder=minilm"], "hardneg renew gives encoder itself"),
        (["init_from=x.ckpt"], "hardneg renew gives init_from itself"),
        (["bach_size=3"], "there is no key bach_size; did you mean batch_size?"),
        (["nonsense"], "nonsense: give words of hardneg train"),
        (["loss.infonce.temperature=-1.0"], "loss.infonce"),
        (["split.test=null", "split.dev=null"], "without judged queries"),
        (["split.dev=other"], "other"),
        (["data.path=nowhere"], "nowhere"),
        (["--gate-lost", "3"], "is a share of the queries"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(hardneg, live, inside, words, says):
    assert says in hardneg("renew", "i", *words, code=2).stderr
    assert not inside and not list(Path("i/renewals").glob("*/train"))


def test_a_second_one_a_lost_checkpoint_and_a_switch_in_between_are_told(hardneg, live, inside, monkeypatch):
    with alone(live.root / "renewals", "a renewal is"):
        assert "a renewal is at work here" in hardneg("renew", "i", code=2).stderr
    assert "has no live index" in hardneg("renew", "nothing", code=2).stderr

    train = steps.train

    def and_somebody_switches(renewal, lock):
        hardneg("index", f"ckpt_path={renewal.checkpoint}", "data=toy", "index.path=i", "shard=16")
        return train(renewal, lock)

    monkeypatch.setattr(steps, "train", and_somebody_switches)
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "--switch", code=2).stderr
    assert "another build went live while" in said

    Path("first/checkpoints/best.ckpt").unlink()
    assert "best.ckpt, which is not there" in hardneg("renew", "i", code=2).stderr
