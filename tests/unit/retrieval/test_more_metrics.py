"""All metrics by name, against pytrec_eval, formulas written out and, where it is installed, ranx."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval

from hardneg.errors import ConfigError
from hardneg.retrieval.metrics import check, deepest, names_of, of_rankings, resolve


@pytest.fixture(scope="module")
def judged():
    """Random grades 0 to 3 and rankings, some shorter than the cuts; scores without ties."""
    rng = np.random.default_rng(0)
    docs = [f"d{i}" for i in range(60)]
    labels, rankings = {}, {}
    for q in range(30):
        known = rng.choice(docs, 25, replace=False)
        labels[f"q{q:02}"] = {doc: int(g) for doc, g in zip(known, rng.integers(0, 4, 25), strict=True)}
        found = rng.choice(docs, int(rng.integers(3, 40)), replace=False)
        scores = np.sort(rng.permutation(1000)[: len(found)])[::-1] / 7
        rankings[f"q{q:02}"] = dict(zip(found.tolist(), scores.tolist(), strict=True))
    return labels, rankings


OURS_AND_TREC = {
    "map@10": "map_cut.10", "map": "map", "P@5": "P.5", "precision@5": "P.5", "precision": "set_P",
    "recall@7": "recall.7", "recall": "set_recall", "success@3": "success.3", "ndcg": "ndcg", "ndcg@10": "ndcg_cut.10",
    "mrr": "recip_rank", "rprec": "Rprec", "r-precision": "Rprec", "r_precision": "Rprec", "bpref": "bpref",
    "infap": "infAP", "ndcg_cut_10": "ndcg_cut.10", "map_cut.5": "map_cut.5", "P_20": "P.20",
    "recip_rank": "recip_rank",
    "11pt_avg": "11pt_avg", "set_F": "set_F", "set_map": "set_map", "num_rel_ret": "num_rel_ret", "Rprec": "Rprec",
    "infAP": "infAP", "iprec_at_recall_0.10": "iprec_at_recall.0.10", "num_ret": "num_ret", "set_P": "set_P",
}  # fmt: skip


@pytest.mark.parametrize("name", OURS_AND_TREC)
def test_each_name_of_trec_eval_is_pytrec_evals(judged, name):
    labels, rankings = judged
    result = pytrec_eval.RelevanceEvaluator(labels, {OURS_AND_TREC[name]}).evaluate(rankings)
    expected = np.array([next(iter(result[query].values())) for query in rankings])
    assert expected.any() and np.array_equal(of_rankings(rankings, labels, [name])[name], expected)


def test_all_of_trec_eval_are_counted_in_one_reading_of_the_rankings(judged, monkeypatch):
    labels, rankings = judged
    alone = {name: of_rankings(rankings, labels, [name])[name] for name in OURS_AND_TREC}
    read = []
    evaluator = pytrec_eval.RelevanceEvaluator
    monkeypatch.setattr(pytrec_eval, "RelevanceEvaluator", lambda *given: read.append(1) or evaluator(*given))
    together = of_rankings(rankings, labels, [*OURS_AND_TREC])
    assert len(read) == 1
    assert list(together) == list(alone) and all(np.array_equal(together[name], alone[name]) for name in alone)
    halves = {query: {doc: grade / 2 for doc, grade in docs.items()} for query, docs in labels.items()}
    by_gain = of_rankings(rankings, labels, [*OURS_AND_TREC], {**halves, "q00": dict.fromkeys(labels["q00"], 1)})
    assert len(read) == 3, "gains, and labels"
    changed = {name for name in alone if not np.array_equal(by_gain[name], alone[name])}
    assert changed == {"ndcg", "ndcg@10", "ndcg_cut_10"}


RANX = [
    "hits@5", "hits", "hit_rate@3", "hit_rate", "precision@5", "precision", "recall@7", "recall", "f1@5", "f1",
    "r-precision", "mrr@2", "mrr", "map", "dcg@10", "dcg", "dcg_burges@10", "ndcg@10", "ndcg", "ndcg_burges@10",
    "ndcg_burges", "rbp.95", "bpref",
]  # fmt: skip


def test_each_name_of_ranx_is_ranxs(judged):
    ranx = pytest.importorskip("ranx", reason="ranx needs numba: pip install ranx")
    labels, rankings = judged
    ours = of_rankings(rankings, labels, RANX)
    theirs = ranx.evaluate(ranx.Qrels(labels), ranx.Run(rankings), RANX, return_mean=False)
    for name in RANX:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-9, err_msg=name)


def test_the_formulas_by_hand():
    """Values that ranx 0.3.21 and ir_measures 0.4.3 (judged) give for this query."""
    labels = {"q": {"a": 2, "b": 1, "c": 0, "z": 3}}
    rankings = {"q": {"b": 5.0, "x": 4.0, "a": 3.0, "c": 2.0}}
    names = [
        "hits@3",
        "hit_rate@1",
        "f1@3",
        "judged@3",
        "judged@10",
        "dcg@3",
        "dcg_burges@3",
        "ndcg_burges@3",
        "rbp.50",
    ]
    found = {name: value.item() for name, value in of_rankings(rankings, labels, names).items()}
    log3 = np.log2(3)
    assert found == pytest.approx({
        "hits@3": 2, "hit_rate@1": 1, "f1@3": 2 / 3, "judged@3": 2 / 3, "judged@10": 3 / 4,
        "dcg@3": 1 + 2 / 2, "dcg_burges@3": 1 + 3 / 2, "ndcg_burges@3": 2.5 / (7 + 3 / log3 + 1 / 2),
        "rbp.50": 0.5 * (1 + 2 * 0.25),
    })  # fmt: skip


@pytest.mark.parametrize("name", ["mrr@1", "hits@1", "judged@1", "precision@1"])
def test_of_equal_scores_the_larger_id_comes_first_as_in_trec_eval(name):
    for relevant, expected in (("b", 1.0), ("a", 0.0)):
        found = of_rankings({"q": {"a": 1.0, "b": 1.0}}, {"q": {relevant: 1}}, [name])[name]
        assert found.tolist() == [expected]


def test_gains_count_where_grades_are_counted_and_labels_elsewhere():
    labels, gains = {"q": {"a": 0, "b": 2}}, {"q": {"a": 1, "b": 2}}
    found = of_rankings({"q": {"a": 2.0, "b": 1.0}}, labels, ["dcg@1", "hits@1", "judged@1", "ndcg@1"], gains)
    assert {name: value.item() for name, value in found.items()} == {
        "dcg@1": 1,
        "hits@1": 0,
        "judged@1": 1,
        "ndcg@1": 0.5,
    }


@pytest.mark.parametrize(
    "name", ["ndgc@10", "ndcg@0", "ndcg@", "success", "bpref@5", "rbp", "rbp.0", "@5", "gm_map", ""]
)
def test_an_unknown_name_is_told_with_what_is_known(name):
    with pytest.raises(ConfigError, match=r"is not known; there are ndcg@k, map@k.*bpref.*_target_"):
        check([name])


@pytest.mark.parametrize("names, said", [([], "measures nothing"), (["map", "map"], "twice"), ([3], "neither a name")])
def test_lists_that_cannot_be(names, said):
    with pytest.raises(ConfigError, match=said):
        check(names)


def test_how_deep_the_ranking_must_be():
    assert deepest(["ndcg@10", "map", "P_50", "judged@20"]) == 50 and deepest(["bpref"]) == 1


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def first_hit(qrels, run, bonus=0.0):\n"
        "    best = {q: max(found, key=found.get) for q, found in run.items()}\n"
        "    return {q: float(qrels[q].get(doc, 0) > 0) + bonus for q, doc in best.items()}\n"
        "class Depth:\n"
        "    def __init__(self, k): self.k = k\n"
        "    def __call__(self, qrels, run): return {q: min(len(found), self.k) for q, found in run.items()}\n"
        "def a_number(qrels, run): return 1.0\n"
        "def nan(qrels, run): return {q: float('nan') for q in run}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HARDNEG_TARGETS", "mine.")


def test_metrics_of_ones_own_by_target(own, judged):
    labels, rankings = judged
    given = [
        "P@1", {"_target_": "mine.first_hit"}, {"_target_": "mine.first_hit", "bonus": 2.0, "name": "more"},
        {"_target_": "mine.Depth", "k": 5, "name": "depth@5"},
    ]  # fmt: skip
    check(given)
    assert names_of(given) == ["P@1", "first_hit", "more", "depth@5"]
    found = of_rankings(rankings, labels, resolve(given))
    assert np.array_equal(found["first_hit"], found["P@1"]) and np.array_equal(found["more"], found["P@1"] + 2)
    assert found["depth@5"].max() == 5


@pytest.mark.parametrize(
    "target, said",
    [("mine.gone", "cannot be imported"), ("os.remove", "not allowed"), ("mine.a_number", "not {query"),
     ("mine.nan", "nan")],
)  # fmt: skip
def test_what_is_no_metric_is_named(own, target, said, judged):
    with pytest.raises(ConfigError, match=said):
        of_rankings(judged[1], judged[0], resolve([{"_target_": target}]))
