"""Run files are read as trec_eval reads them, or refused with line and reason; what is written is readable by it."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import pytrec_eval

from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import DataError
from hardneg.retrieval.metrics import QueryRankings, of_rankings
from hardneg.runs.trec_runs import in_order, read_run, write_run


def named_run(docs, queries=("q1",)):
    """A run that ranks all documents for each query in their order, and its data."""
    data = RetrievalData("x", Texts.of(list(docs), list(docs)), Texts.of(list(queries), list(queries)), {})
    ids = np.tile(np.arange(len(docs), dtype=np.int32), (len(queries), 1))
    scores = np.tile(np.linspace(1, 0.5, len(docs), dtype=np.float32), (len(queries), 1))
    return QueryRankings(np.arange(len(queries), dtype=np.int32), ids, scores), data


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
    run = QueryRankings(np.array([0], np.int32), np.array([[1, 0]], np.int32), np.array([[0.5, 0.25]], np.float32))
    write_run(tmp_path / "a.run", run, data, "tag")
    assert read_run(tmp_path / "a.run") == {"q one": {"d2": 0.5, "Part 1.  2": 0.25}}


def test_the_order_is_trec_evals_also_where_scores_differ_by_less_than_it_can_see():
    rng = np.random.default_rng(0)
    labels = {"q": {f"d{i}": int(rng.integers(3)) for i in range(60)}}
    for _ in range(20):
        scores = {f"d{i}": float(1 + rng.integers(5) * 1e-9 + rng.integers(3)) for i in range(60)}
        theirs = pytrec_eval.RelevanceEvaluator(labels, {"recip_rank", "ndcg_cut.5"}).evaluate({"q": scores})["q"]
        ours = of_rankings({"q": in_order(scores)}, labels, ["mrr@60", "ndcg@5"])
        assert ours["ndcg@5"][0] == theirs["ndcg_cut_5"] and ours["mrr@60"][0] == theirs["recip_rank"]
        first = next(rank for rank, doc in enumerate(in_order(scores), 1) if labels["q"][doc] > 0)
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


ROWS = [("q1", "d4", 1, 9.5), ("q1", "d2", 2, 9.25), ("q1", "d1", 3, 1.5), ("q2", "d2", 1, 2.0), ("q2", "d7", 2, -1.0)]


@pytest.mark.parametrize(
    "line", ["q1 Q0 Smith 2004 1 12.5 bm25", "q1 Q0 d 1 9.5 k1 2 0.4 b", "q1 Q0 X 1 2 b 1 9.5 run"]
)
def test_a_line_that_can_be_read_in_two_ways_is_refused(tmp_path, line):
    """As trec_eval and pytrec_eval refuse every line of more than six columns."""
    (tmp_path / "a.run").write_text(f"{line}\n")
    with pytest.raises(DataError, match=r"a.run:1: \d columns where 6 are expected, and rank and score could be"):
        read_run(tmp_path / "a.run")
    with pytest.raises(ValueError):
        pytrec_eval.parse_run([line])


@pytest.mark.parametrize("tag", ["run", "BM25 0.9 0.4", "run extra words", "k1 2 b 0.4", "3"])
@pytest.mark.parametrize("by", [" ", "\t", "   "])
def test_a_tag_may_hold_anything_and_shifts_no_column(tmp_path, tag, by):
    lines = [by.join([query, "Q0", doc, str(rank), str(score), tag]) for query, doc, rank, score in ROWS]
    (tmp_path / "a.run").write_text("\n".join(lines) + "\n")
    labels = {"q1": {"d2": 1, "d1": 2}, "q2": {"d7": 1}}
    theirs = pytrec_eval.parse_run([" ".join([*line.replace("\t", " ").split()[:5], "x"]) for line in lines])
    assert read_run(tmp_path / "a.run") == theirs
    value = of_rankings(read_run(tmp_path / "a.run"), labels, ["ndcg@10"])["ndcg@10"].mean()
    # by hand: gains 0, 1, 2 against 2, 1, and 0, 1 against 1
    log = np.log2
    assert value == pytest.approx(((1 / log(3) + 2 / log(4)) / (2 + 1 / log(3)) + 1 / log(3)) / 2)


AWKWARD = ["Part 1.  2", "d2", "a%20b", "100%", "see Q0 here 1 0.5 x", "\u3000", "x 1 1", "caf\xe9\xa0au lait", "3"]


def test_ids_with_blanks_are_written_so_that_pytrec_eval_reads_them_and_come_back_as_they_were(tmp_path):
    run, data = named_run(AWKWARD, ["q one", "q%41", "q3"])
    write_run(tmp_path / "a.run", run, data, "my tag")
    lines = (tmp_path / "a.run").read_text().splitlines()
    assert all(line.endswith(" my_tag;ids=percent-encoded") for line in lines)
    theirs = pytrec_eval.parse_run(lines)
    assert list(theirs) == ["q%20one", "q%2541", "q3"] and list(theirs["q3"])[:2] == ["Part%201.%20%202", "d2"]
    assert read_run(tmp_path / "a.run") == run.as_dict(data)


def test_ids_without_blanks_are_written_as_they_are(tmp_path):
    run, data = named_run(["a%20b", "caf\xe9"])
    write_run(tmp_path / "a.run", run, data, "tag")
    assert (tmp_path / "a.run").read_text() == "q1 Q0 a%20b 1 1 tag\nq1 Q0 caf\xe9 2 0.5 tag\n"
    assert read_run(tmp_path / "a.run") == pytrec_eval.parse_run((tmp_path / "a.run").read_text().splitlines())
