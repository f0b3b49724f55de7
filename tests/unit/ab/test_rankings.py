"""Judgements are read as trec_eval reads them, and a broken line is named with its true reason."""

from __future__ import annotations

import pytest
import pytrec_eval

from hardneg.ab.rankings import over, read_qrels
from hardneg.errors import DataError, UserError


def test_judgements_of_both_layouts(tmp_path):
    (tmp_path / "beir.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    (tmp_path / "trec.txt").write_text("q1 0 d1 2\nq1 0 d2 0\n")
    assert read_qrels(tmp_path / "beir.tsv") == read_qrels(tmp_path / "trec.txt") == {"q1": {"d1": 2, "d2": 0}}
    (tmp_path / "trec.txt").write_text("q1 0 d1 2\nq1 0 d1 0\n")
    with pytest.raises(DataError, match=r"trec.txt:2: grade 0 contradicts grade 2"):
        read_qrels(tmp_path / "trec.txt")
    with pytest.raises(UserError, match="no such file"):
        read_qrels(tmp_path / "none.tsv")


def test_blanks_around_the_columns_of_trec_are_no_part_of_ids(tmp_path):
    """trec_eval's columns end at any blank; a query called `q1 ` was in no ranking, and counted 0 for both sides."""
    lines = ["q1 \t0\td1\t2\n", "q1\t0\t d2 \t0\n", " q2\t0\td1\t 1\n"]
    (tmp_path / "qrels").write_text("".join(lines))
    assert (
        read_qrels(tmp_path / "qrels") == pytrec_eval.parse_qrel(lines) == {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 1}}
    )
    (tmp_path / "qrels").write_text("q 1 \td 1\t2\n")
    assert read_qrels(tmp_path / "qrels") == {"q 1 ": {"d 1": 2}}, "BEIR's ids are as written"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["# judged in 2019", "q1 0 d1 1"], "qrels:1: a comment"),
        (["q1 0 d1 1", "#q1 0 d2 1 by hand"], "qrels:2: a comment"),
        (["q1 0 d1 1", "q1 0 d2 1 # by A"], "qrels:2: a comment behind the 4 columns"),
        (["q1\td1\t1", "q1\td2\t1\t# by A"], "qrels:2: a comment behind the 3 columns"),
        (
            ["q1 1 d1 1", "q1 2 d1 0"],
            "qrels:2: document 'd1' is judged .* under '2' .* '1': one judgement for each",
        ),
        (["q1 1 d1 1", "q1 2 d1 1"], "qrels:2: document 'd1' is judged .* subtopic"),
        (["q1 0 d1 1", "q1 Q0 d1 1 0.5 run"], "qrels:2: a line of a run file"),
    ],
)
def test_what_is_no_judgement_is_refused_for_its_true_reason(tmp_path, lines, says):
    (tmp_path / "qrels").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=says):
        read_qrels(tmp_path / "qrels")


def test_rounds_of_judging_in_the_second_column_and_ids_with_a_hash_are_read_as_trec_eval_reads_them(tmp_path):
    lines = ["#1 0.5 d1 2", "#1 4 d2 0", "q2 1 #d1 1"]
    (tmp_path / "qrels").write_text("\n".join(lines) + "\n")
    assert read_qrels(tmp_path / "qrels") == pytrec_eval.parse_qrel(lines)


def test_queries_without_a_ranking_have_an_empty_one():
    assert over({"a": {"d": 1.0}, "c": {"d": 1.0}}, ["b", "a"]) == {"b": {}, "a": {"d": 1.0}}
