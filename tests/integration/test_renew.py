"""A live index is renewed by one command, which may be killed, asked again, and told no by the gate."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from run_folders import end_state, same

from hardneg.renew import steps
from hardneg.renew.overrides import index_words
from hardneg.serving.index_folder import IndexFolder
from hardneg.stages.run_stages import alone, launch

TRAIN = ["batch_size=8", "optimizer.lr=0.05", "logger=csv", "checkpoint.every_n_steps=1", "negatives.mined.depth=20"]
LIVE = ["data=beir", "data.path=data", "encoder.dim=16", "encoder.vocab_size=300", *TRAIN[:3], "evaluate.before=false"]
LIVE += ["evaluate.bm25=null", "trainer.max_epochs=1"]
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
def live(once, hardneg, toy, tmp_path):
    """An index of the first 100 documents, by a model of an epoch whose words were learnt from them."""
    write(tmp_path / "data", toy, 100)

    def train():
        hardneg("train", *LIVE, "hydra.run.dir=trained")
        return Path("trained/checkpoints/best.ckpt").read_bytes()

    checkpoint = once("checkpoint", train)
    Path("first/checkpoints").mkdir(parents=True)
    Path("first/checkpoints/best.ckpt").write_bytes(checkpoint)
    hardneg("index", "ckpt_path=first/checkpoints/best.ckpt", "data=beir", "data.path=data", "index.path=i", "shard=16")
    return IndexFolder("i")


def folder_of(build):
    """The folder of the renewal that a build came out of."""
    return Path(build.manifest.source["ckpt_path"]).parents[2]


def state(live):
    return [json.loads(path.read_text()) for path in sorted(Path("i/renewals").glob("*/renewal.json"))]


def test_new_data_a_judged_build_beside_the_live_one_a_switch_and_then_nothing_new(hardneg, live, inside, toy):
    write(Path("more"), toy, 120)
    before = live.live()
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more").stderr
    assert "20 to embed, 100 there" in said  # by the live model, which mines
    assert "holds 120 of 120 documents as this model embeds them" in inside[0]
    assert "120 to embed, 0 there" in said and live.live().name == before.name
    (renewal,) = state(live)
    ready = live.named(renewal["new"])
    assert renewal["state"] == "ready" and f"hardneg index switch {live.root} {ready.name}" in said
    assert folder_of(ready).parent == live.root / "renewals"
    folder = folder_of(ready)
    assert {"report.html", "report.md", "report.json", "old.run", "new.run"} <= {path.name for path in folder.iterdir()}
    report = json.loads((folder / "report.json").read_text())
    assert ready.name in report["new"] and live.beside == sorted([renewal["old"], ready.name])

    # Asked again nothing is trained or embedded; told to, it switches; and then the same data are nothing new.
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more", "--switch").stderr
    assert len(inside) == 1 and f"live: build {ready.name}" in said and live.live().name == ready.name
    assert "nothing new" in hardneg("renew", "i", *TRAIN, *LOOSE).stderr and len(inside) == 1
    assert not Path("wandb").exists()
    hardneg("check", "i")
    assert hardneg("search", "i", "where").stdout

    # Anyway, or with other settings, the new live model is trained on; its words stay those of the first corpus.
    hardneg("renew", "i", *TRAIN, *LOOSE, "--anyway", "data.path=data")
    assert len(inside) == 2 and len(state(live)) == 2
    checkpoints = [Path("first/checkpoints/best.ckpt"), folder / "train/checkpoints/best.ckpt"]
    one, other = (torch.load(path, weights_only=True)["hardneg"]["tokenizer"] for path in checkpoints)
    assert one == other


def test_the_gate_says_no_and_what_is_live_stays_or_gets_the_new_documents(hardneg, live, inside, toy):
    write(Path("more"), toy, 120)
    before = live.live()
    strict = [*TRAIN, "data.path=more", "--gate-delta", "0.9"]
    said = hardneg("renew", "i", *strict, code=1).stderr
    assert "gate: ndcg@10" in said and "reaches below +0.9" in said and live.live().name == before.name
    (renewal,) = state(live)
    assert renewal["state"] == "refused" and renewal["reasons"] and live.beside == [renewal["old"]]
    assert f"the live model with all documents: build {renewal['old']}" in said

    # Asked again it says the same at once; with --switch the live model answers with the new documents.
    again = hardneg("renew", "i", *strict, code=1).stderr
    assert "gate: ndcg@10" in again and "1/4" not in again
    hardneg("renew", "i", *strict, "--switch", code=1)
    assert live.live().name == renewal["old"] and live.live().manifest.corpus["count"] == 120 and live.beside == []
    assert live.live().manifest.model == before.manifest.model

    # The same renewal under other limits is judged again, not trained again; what is rolled back is left alone.
    hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more", "--switch")
    assert len(inside) == 1 and live.live().name == state(live)[0]["new"]
    hardneg("index", "rollback", "i")
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more", "--switch", code=1).stderr
    assert "was live and was rolled back" in said and live.live().name == renewal["old"]
    hardneg("renew", "i", *TRAIN, *LOOSE, "data.path=more", "--switch", "--anyway")
    assert len(inside) == 1 and live.live().name == state(live)[0]["new"]


def test_killed_in_training_it_goes_on_and_ends_with_the_same_weights(hardneg, live, inside, tmp_path):
    hardneg("renew", "i", *TRAIN, *LOOSE)
    whole = end_state(folder_of(live.named(state(live)[0]["new"])) / "train")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 2, signal_name: SIGKILL}"
    said = hardneg("renew", "i", *TRAIN, *LOOSE, stop, code=2).stderr
    assert "training ended with exit code -9" in said
    hardneg("renew", "i", *TRAIN, *LOOSE, stop)
    (cut,) = (path.parent for path in Path("i/renewals").glob("*/train/interrupted"))
    assert same(whole, end_state(cut)) is None


def test_checkpoints_that_no_build_needs_go_and_are_made_again_when_they_are_asked_for(hardneg, live, inside):
    seeds = [[f"seed={seed}"] for seed in (1, 2, 3)]
    for seed in seeds:
        hardneg("renew", "i", *TRAIN, *LOOSE, *seed)
    kept = sorted(len(list(path.glob("train/checkpoints/*"))) for path in Path("i/renewals").glob("*/"))
    assert kept == [0, 0, 2] or kept == [0, 2, 2]
    assert len(list(Path("i/renewals").glob("*/report.html"))) == 3
    assert all(Path(build.manifest.source["ckpt_path"]).is_file() for build in live.builds())
    hardneg("renew", "i", *TRAIN, *LOOSE, *seeds[0], "--switch")
    assert len(inside) == 4

    # However the index is spelled: the checkpoint of the live build stays.
    Path("link").symlink_to("i")
    hardneg("renew", "../" + Path.cwd().name + "/link", *TRAIN, *LOOSE, "--anyway", "seed=4")
    assert Path(live.live().manifest.source["ckpt_path"]).is_file() and hardneg("search", "i", "where").stdout


def test_the_words_of_an_index_work_from_anywhere_and_keep_what_other_data_leave(live):
    build, words = live.live(), ["data=beir", f"data.path={Path.cwd() / 'data'}", "shard=16"]
    assert build.manifest.source["words"] == words
    assert index_words(build, []) == words
    assert index_words(build, ["data.path=new"]) == ["data=beir", "shard=16", "data.path=new"]
    assert index_words(build, ["data=jsonl", "data.path=new"]) == ["shard=16", "data=jsonl", "data.path=new"]


@pytest.mark.parametrize("at", ["build", "rank"])
def test_a_signal_at_any_step_ends_in_order_and_the_same_command_goes_on(hardneg, live, inside, monkeypatch, at):
    def stop(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(steps, at, stop)
        said = hardneg("renew", "i", *TRAIN, *LOOSE, code=128 + signal.SIGTERM).stderr
    assert "interrupted; run the same command again to continue" in said
    hardneg("renew", "i", *TRAIN, *LOOSE)
    assert len(inside) == 1 and state(live)[0]["state"] == "ready"


def test_stopped_after_the_switch_the_same_command_finds_nothing_new(hardneg, live, inside, monkeypatch):
    switch = IndexFolder.switch

    def switch_and_stop(self, build):
        switch(self, build)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(IndexFolder, "switch", switch_and_stop)
        hardneg("renew", "i", *TRAIN, *LOOSE, "--switch", code=128 + signal.SIGTERM)
    build = live.live()
    assert folder_of(build).parent == live.root / "renewals"
    assert "nothing new" in hardneg("renew", "i", *TRAIN, *LOOSE, "--switch").stderr
    assert len(inside) == 1 and live.live() == build
    assert state(live)[0]["state"] == "live", "a rollback from now on is respected"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["encoder=minilm"], "hardneg renew gives encoder itself"),
        (["init_from=x.ckpt"], "hardneg renew gives init_from itself"),
        (["bach_size=3"], "there is no key bach_size; did you mean batch_size?"),
        (["index.path=x"], "is a word of hardneg index"),
        (["switch=true"], "and --switch switches"),
        (["experiment=dpr_small"], "experiment=dpr_small is for another encoder than the live one"),
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
        assert f"a renewal is at work here (process {os.getpid()})" in hardneg("renew", "i", code=2).stderr
    assert "has no live index" in hardneg("renew", "nothing", code=2).stderr

    train = steps.train

    def and_somebody_switches(renewal, lock):
        hardneg("train", *LIVE, "seed=9", "hydra.run.dir=second")
        hardneg("index", "ckpt_path=second/checkpoints/best.ckpt", "data=beir", "data.path=data", "index.path=i")
        return train(renewal, lock)

    monkeypatch.setattr(steps, "train", and_somebody_switches)
    said = hardneg("renew", "i", *TRAIN, *LOOSE, "--switch", code=2).stderr
    assert "another model went live while" in said

    Path("second/checkpoints/best.ckpt").unlink()
    assert "best.ckpt, which is not there" in hardneg("renew", "i", code=2).stderr
