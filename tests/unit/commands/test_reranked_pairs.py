"""hardneg train-teacher: how many pairs are reranked is said with when."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from hardneg.commands.train_teacher import tell_what_is_reranked
from hardneg.retrieval.reranker import Reranker
from hardneg.retrieval.test_sets import TestSet
from hardneg.training.callbacks.evaluation import Evaluate


@pytest.mark.parametrize(
    ("before", "begun", "when"),
    [
        (True, False, "before training and at the end"),
        (True, True, "at the end"),  # a resumed run was tested when it began
        (False, False, "at the end"),
    ],
)
def test_it_is_said_when_the_test_set_is_reranked(toy, caplog, before, begun, when):
    ranks = Mock(spec=Reranker, data=toy)
    tests = [TestSet("", ranks, "test")]
    evaluate = Evaluate(ranks, None, tests, before, [], 10, 1, None, None, "ndcg@10")
    caplog.set_level("INFO")
    tell_what_is_reranked(evaluate, begun)
    pairs = 10 * len(toy.split("test").query_rows)
    assert f"pairs to rerank: {pairs} of test {when}; evaluate.depth=10 " in caplog.text
