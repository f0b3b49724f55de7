"""Functions as metrics of `run.evaluate`."""

from __future__ import annotations

from hardneg.api.evaluating import _metric
from hardneg.retrieval.metrics import OwnMetric, check


def test_a_function_is_a_metric_by_its_own_name():
    def first_hit(qrels, run):
        return {}

    found = [_metric(one) for one in ("ndcg@10", first_hit)]
    assert found == ["ndcg@10", OwnMetric("first_hit", first_hit)]
    check(found)
