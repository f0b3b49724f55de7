"""A run that trains on from another's checkpoint, in a folder of its own: longer, or with other parts."""

from __future__ import annotations

import pytest
from test_remine import MINED, rows, stores

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
    assert [step for step, _ in rows(tmp_path / "on", "mining/mined/round")] == [11, 22]
    assert [age for _, age in rows(tmp_path / "on", "mining/mined/staleness")] == [*range(11)] * 2
    assert stores(tmp_path / "on")["mined"][0] == stores(tmp_path / "first")["mined"][0]


def test_a_source_that_the_first_run_did_not_have_is_mined_and_judged(on, tmp_path):
    words = ["evaluate.before=false", "filter=[known_positives]"]
    more = ["negatives=[in_batch,random,mined]", "negatives.mined.depth=20"]
    said = on(["negatives=[in_batch,random]", *words], [*more, *words], epochs=2)
    assert [step for step, _ in rows(tmp_path / "on", "mining/mined/round")] == [11]
    assert min(count for _, count in rows(tmp_path / "on", "negatives/mined/count")) > 3.5
    assert "of its negatives above their positive (last third of the training)" in said.stderr
