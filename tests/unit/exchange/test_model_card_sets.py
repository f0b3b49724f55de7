"""The model card after a run with several test sets."""

from __future__ import annotations

import pytest

from hardneg.exchange.model_card import TrainingRun, _results, _tested

AFTER = {"test": 0.4, "other": 0.8, "mean": 0.6}


def run_of(split, also, by_set):
    def rows(name):
        return {"after": {"ndcg@10": AFTER[name]}}

    summary = {"data": "faq", "test": rows("mean" if by_set else "test"), "dev": {"history": []}}
    if by_set:
        summary["test_by_set"] = {name: rows(name if name in AFTER else "test") for name in by_set}
    return TrainingRun(summary, {"split": {"test": split}, "evaluate": {"also": also}}, ())


@pytest.mark.parametrize(
    "split, also, by_set, said",
    [
        ("test", None, [], [("faq", "test", 0.4)]),
        (
            "test",
            {"other": {"test": "dev"}},
            ["faq", "other"],
            [("faq", "test", 0.4), ("other", "dev", 0.8)],
        ),
        (
            ["test", "hard"],
            {"other": {"path": "o"}},
            ["test", "hard", "other"],
            [("faq", "test", 0.4), ("faq", "hard", 0.4), ("other", "test", 0.8)],
        ),
        (None, None, [], []),
    ],
)
def test_each_set_has_its_own_result_and_the_mean_is_called_a_mean(split, also, by_set, said):
    run = run_of(split, also, by_set)
    assert [(data, name, rows["after"]["ndcg@10"]) for data, name, rows in _tested(run)] == said
    card = "\n\n".join(_results(run))
    assert ("Mean of these" in card) == (len(said) > 1)
