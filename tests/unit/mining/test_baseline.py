"""A miner as the baseline of an evaluation, or as the first stage of a reranker."""

from __future__ import annotations

import numpy as np

from hardneg.encoders.static import Static
from hardneg.mining.baseline import baseline_run
from hardneg.mining.dense import Dense
from hardneg.retrieval.retriever import Retriever


def test_a_dual_encoder_ranks_as_its_evaluation_does(toy, tmp_path):
    miner = Dense(encoder=Static(dim=16))
    run = baseline_run(miner, toy, "test", 7, tmp_path)
    model = miner.ready(toy, None, tmp_path).model
    expected = Retriever(toy, model.queries, model.docs, "32-true").runs(model.towers, ["test"], 7)["test"]
    np.testing.assert_array_equal(run.queries, expected.queries)
    np.testing.assert_array_equal(run.ids, expected.ids)
    again = baseline_run(Dense(encoder=Static(dim=16)), toy, "test", 7, tmp_path)
    np.testing.assert_array_equal(again.ids, run.ids)
    assert not list((tmp_path / "work").iterdir())
