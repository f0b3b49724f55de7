"""A run that trains on from another's checkpoint, in a folder of its own: longer, or with other parts."""

from __future__ import annotations

import json

import pytest
from mined_runs import MINED, stores
from run_folders import column

QUICK = ["logger=csv", "evaluate.bm25=null"]


@pytest.fixture
def on(hardneg, small):
    """Train for an epoch, and on from there for more of them, with other words."""

    def on(before, after, epochs):
        words = [*small, *QUICK]
        hardneg("train", *words, *before, "trainer.max_epochs=1", "hydra.run.dir=first")
        more = [f"trainer.max_epochs={epochs}", "ckpt_path=first/checkpoints/last.ckpt", "hydra.run.dir=on"]
        return hardneg("train", *words, *after, *more)

    return on


def test_the_lists_of_a_longer_run_are_as_new_as_ever(on, tmp_path):
    words = [*MINED[:2], "evaluate.before=false"]
    on(words, words, epochs=3)
    assert [step for step, _ in column(tmp_path / "on", "mining/mined/round")] == [11, 22]
    assert [age for _, age in column(tmp_path / "on", "mining/mined/staleness")] == [*range(11)] * 2
    assert stores(tmp_path / "on")["mined"][0] == stores(tmp_path / "first")["mined"][0]


def test_a_source_that_the_first_run_did_not_have_is_mined_and_judged(on, tmp_path):
    words = ["evaluate.before=false", "filter=[known_positives]"]
    more = ["negatives=[in_batch,random,mined]", "negatives.mined.depth=20"]
    said = on(["negatives=[in_batch,random]", *words], [*more, *words], epochs=2)
    assert [step for step, _ in column(tmp_path / "on", "mining/mined/round")] == [11]
    assert min(count for _, count in column(tmp_path / "on", "negatives/mined/count")) > 3.5
    assert "of its negatives above their positive (last third of the training)" in said.stderr


@pytest.mark.parametrize("added", [True, False])
def test_a_queue_is_added_and_starts_empty_or_is_left_out(on, tmp_path, added):
    """Also in the average."""
    sources = [["negatives=[in_batch]", "callbacks=[ema]"], ["negatives=[in_batch,queue]", "callbacks=[ema]"]]
    on(*(sources if added else sources[::-1]), epochs=2)
    if added:
        assert next(count for _, count in column(tmp_path / "on", "negatives/queue/count")) == 0


@pytest.mark.parametrize("learned", ["true", "false"])
def test_a_temperature_that_only_one_of_the_two_learns_is_told(hardneg, small, learned):
    words = [*small, *QUICK, "evaluate.before=false", "trainer.max_epochs=1"]
    hardneg("train", *words, f"loss.infonce.learn_temperature={learned}", "hydra.run.dir=first")
    other = f"loss.infonce.learn_temperature={'false' if learned == 'true' else 'true'}"
    more = ["trainer.max_epochs=2", "ckpt_path=first/checkpoints/last.ckpt", "hydra.run.dir=on"]
    said = hardneg("train", *words[:-1], other, *more, code=2)
    assert "a learned temperature is one" in said.stderr and "init_from=CHECKPOINT" in said.stderr


@pytest.mark.parametrize(
    "other",
    [
        ["evaluate.metrics=[recall@20]", "evaluate.best=recall@20"],
        ["split.test=train", "evaluate.documents=all"],
        ["split.dev=null", "evaluate.documents=all"],
    ],
    ids=["metrics", "test", "no_dev"],
)
def test_what_another_run_measured_in_another_way_stays_its_own(on, tmp_path, other):
    """The first ranks dev over a subset, and tests before it trains."""
    words = ["negatives=[in_batch,bm25]", "evaluate.documents=subset", "evaluate.subset.bm25=0"]
    words += ["evaluate.subset.model=5", "evaluate.subset.size=700"]
    on(words, [*words, *other], epochs=2)
    summary = json.loads((tmp_path / "on/summary.json").read_text())
    same_test = "split.dev=null" in other
    assert list(summary["test"]) == ["before", "after"][not same_test :], "other queries or metrics were tested before"
    steps = [point["step"] for point in summary["dev"]["history"]]
    assert steps == ([] if "split.dev=null" in other else [22])
    assert ("documents" in summary["dev"]) == ("evaluate.documents=all" not in other)
    assert (summary["dev"]["best"] is None) == ("split.dev=null" in other)


def test_what_another_run_measured_in_the_same_way_is_gone_on_with(on, tmp_path):
    on(words := ["negatives=[in_batch,bm25]"], words, epochs=2)
    first, second = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("first", "on"))
    assert [point["step"] for point in second["dev"]["history"]] == [0, 11, 22]
    assert second["dev"]["history"][:2] == first["dev"]["history"]
    assert second["test"]["before"] == first["test"]["before"]
