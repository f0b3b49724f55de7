"""Run files and judgements are read as trec_eval reads them, and a broken line is named."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import pytrec_eval

from hardneg.ab.rankings import in_order, over, read_qrels, read_run
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import DataError, UserError
from hardneg.retrieval.metrics import Run, of_rankings
from hardneg.runs.results import write_trec


def test_scores_decide_the_order_and_ties_go_to_the_larger_id(tmp_path):
    (tmp_path / "a.run").write_text("q1 Q0 d1 1 0.5 x\nq1 Q0 d3 2 0.5 x\nq1 Q0 d2 3 2e0 x\nq2 Q0 d9 1 -1 x\n")
    read = read_run(tmp_path / "a.run")
    assert {query: list(ranked) for query, ranked in read.items()} == {"q1": ["d2", "d3", "d1"], "q2": ["d9"]}
    with gzip.open(tmp_path / "a.run.gz", "wt") as file:
        file.write((tmp_path / "a.run").read_text())
    assert read_run(tmp_path / "a.run.gz") == read


def test_ids_with_blanks_are_read_as_a_run_writes_them(tmp_path):
    corpus = Texts.of(["Part 1.  2", "d2"], ["a", "b"])
    data = RetrievalData("x", corpus, Texts.of(["q one"], ["q"]), {})
    run = Run(np.array([0], np.int32), np.array([[1, 0]], np.int32), np.array([[0.5, 0.25]], np.float32))
    write_trec(tmp_path / "a.run", run, data, "tag")
    assert read_run(tmp_path / "a.run") == {"q one": {"d2": 0.5, "Part 1.  2": 0.25}}


def test_the_order_is_trec_evals_also_where_scores_differ_by_less_than_it_can_see():
    rng = np.random.default_rng(0)
    labels = {"q": {f"d{i}": int(rng.integers(3)) for i in range(60)}}
    for _ in range(20):
        scores = {f"d{i}": float(1 + rng.integers(5) * 1e-9 + rng.integers(3)) for i in range(60)}
        theirs = pytrec_eval.RelevanceEvaluator(labels, {"recip_rank", "ndcg_cut.5"}).evaluate({"q": scores})["q"]
        ours = of_rankings({"q": in_order(scores.items())}, labels, ["mrr@60", "ndcg@5"])
        assert ours["ndcg@5"][0] == theirs["ndcg_cut_5"] and ours["mrr@60"][0] == theirs["recip_rank"]
        first = next(rank for rank, doc in enumerate(in_order(scores.items()), 1) if labels["q"][doc] > 0)
        assert theirs["recip_rank"] == pytest.approx(1 / first)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("q1 Q0 d1 1 0.5", "a.run:2: 5 columns where 6 are expected"),
        ("q1 Q0 d2 1 high x", "a.run:2: score 'high' is not a number"),
        ("q1 Q0 d2 1 nan x", "a.run:2: score 'nan' is not finite"),
        ("q1 Q0 d1 2 0.1 x", "a.run:2: document 'd1' is ranked twice for query 'q1'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, says):
    (tmp_path / "a.run").write_text(f"q1 Q0 d1 1 0.5 x\n{line}\n")
    with pytest.raises(DataError, match=says) as error:
        read_run(tmp_path / "a.run")
    assert "data.on_error" not in str(error.value), "there is no such switch here"


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.run").write_text("\n")
    with pytest.raises(DataError, match="the file is empty"):
        read_run(tmp_path / "a.run")


def test_judgements_of_both_layouts(tmp_path):
    (tmp_path / "beir.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    (tmp_path / "trec.txt").write_text("q1 0 d1 2\nq1 0 d2 0\n")
    assert read_qrels(tmp_path / "beir.tsv") == read_qrels(tmp_path / "trec.txt") == {"q1": {"d1": 2, "d2": 0}}
    (tmp_path / "trec.txt").write_text("q1 0 d1 2\nq1 0 d1 0\n")
    with pytest.raises(DataError, match=r"trec.txt:2: grade 0 contradicts grade 2"):
        read_qrels(tmp_path / "trec.txt")
    with pytest.raises(UserError, match="no such file"):
        read_qrels(tmp_path / "none.tsv")


def test_queries_without_a_ranking_have_an_empty_one():
    assert over({"a": {"d": 1.0}, "c": {"d": 1.0}}, ["b", "a"]) == {"b": {}, "a": {"d": 1.0}}
