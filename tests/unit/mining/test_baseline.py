"""A miner as the baseline of an evaluation, or as the first stage of a reranker."""

from __future__ import annotations

import numpy as np

from hardneg.data.toy import Toy
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


def test_one_miner_ranks_several_data_sets_each_with_its_own_texts(toy, tmp_path):
    """As the first stage of a cross-encoder does for each of its test sets."""
    other = Toy(docs=300, queries=60, seed=3).load()
    both = Dense(encoder=Static(dim=8), precision="32-true")
    for data in (toy, other, toy):
        one = baseline_run(both, data, "test", 5, tmp_path / "both")
        alone = baseline_run(Dense(encoder=Static(dim=8), precision="32-true"), data, "test", 5, tmp_path / "alone")
        np.testing.assert_array_equal(one.ids, alone.ids)
