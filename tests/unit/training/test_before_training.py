"""The test before training, as a run that goes on takes it up."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from hardneg.retrieval.retriever import Retriever
from hardneg.retrieval.test_sets import TestSet
from hardneg.testing.synthetic import make_data
from hardneg.training.callbacks.evaluation import Evaluate


@pytest.mark.parametrize(("others", "kept"), [(2, True), (3, False)])
def test_a_test_of_other_queries_is_left_out(others, kept, caplog):
    """Earlier versions did not say what they measured, and held other queries out of a set in evaluate.also."""
    own, other = (make_data([(n, n) for n in range(size)], queries=size) for size in (4, 2))
    ranks = [Mock(spec=Retriever, data=data) for data in (own, other)]
    tests = [TestSet(name, one, "train") for name, one in zip(("own", "other"), ranks, strict=True)]
    evaluate = Evaluate(ranks[0], None, tests, True, ["mrr@10"], 10, 1, None, None, "mrr@10")
    before = [{"mrr@10": torch.ones(size)} for size in (4, others)]
    evaluate.load_state_dict({"history": [], "latest": {}, "before": before})
    assert [len(values["mrr@10"]) for values in evaluate.before] == ([4, 2] if kept else [])
    assert all(isinstance(values["mrr@10"], np.ndarray) for values in evaluate.before)
    assert ("it is left out" in caplog.text) != kept
