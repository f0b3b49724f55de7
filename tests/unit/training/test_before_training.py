"""The test before training, as a run that goes on takes it up."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from hardneg.errors import ConfigError
from hardneg.retrieval.retriever import Retriever
from hardneg.retrieval.test_sets import TestSet
from hardneg.testing.synthetic import make_data
from hardneg.training.callbacks.evaluation import Evaluate


@pytest.mark.parametrize(("others", "kept"), [(2, True), (3, False)])
def test_a_test_of_other_queries_is_left_out(others, kept):
    """As where another set is in evaluate.also than in the run whose checkpoint this one goes on from."""

    def evaluate(*sizes):
        ranks = [Mock(spec=Retriever, data=make_data([(n, n) for n in range(size)], queries=size)) for size in sizes]
        tests = [TestSet(f"{number}", one, "train") for number, one in enumerate(ranks)]
        return Evaluate(ranks[0], None, tests, True, ["mrr@10"], 10, 1, None, None, "mrr@10")

    first, then = evaluate(4, others), evaluate(4, 2)
    first.before = [{"mrr@10": np.ones(size)} for size in (4, others)]
    then.load_state_dict(first.state_dict())
    assert [len(values["mrr@10"]) for values in then.before] == ([4, 2] if kept else [])
    assert all(isinstance(values["mrr@10"], np.ndarray) for values in then.before)


def test_a_checkpoint_of_before_the_first_release_is_refused():
    ranks = Mock(spec=Retriever, data=make_data([(0, 0)], queries=1))
    evaluate = Evaluate(ranks, None, [], False, ["mrr@10"], 10, 1, None, None, "mrr@10")
    with pytest.raises(ConfigError, match=r"before its first release.*init_from"):
        evaluate.load_state_dict({**evaluate.state_dict(), "before": {"mrr@10": np.ones(1)}})
