"""Grades: gains as they are written, and the lowest that is relevant, as pytrec_eval has it."""

from __future__ import annotations

import json
import logging
import math
import random

import numpy as np
import pytest
import pytrec_eval

from hardneg.ab.rankings import read_qrels
from hardneg.ab.relevance import from_data
from hardneg.config.run_identity import identity
from hardneg.data.grades import whole_steps
from hardneg.data.mix import Mix
from hardneg.data.readers.beir import Beir
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.retrieval.metrics import QueryRankings, of_rankings, per_query

HALF = "q0\td0\t1\nq0\td1\t0.5\nq1\td2\t0.5\n"
GRADED = "q0\td0\t3\nq0\td1\t1\nq0\td2\t2\nq0\td3\t0\nq1\td4\t2\nq1\td5\t1\nq2\td6\t1\n"


def write(folder, *, train=GRADED, test=GRADED):
    (folder / "qrels").mkdir(parents=True)
    for file, names in (("corpus", [f"d{i}" for i in range(8)]), ("queries", ["q0", "q1", "q2"])):
        (folder / f"{file}.jsonl").write_text("\n".join(json.dumps({"_id": n, "text": f"text {n}"}) for n in names))
    for split, text in (("train", train), ("test", test)):
        (folder / "qrels" / f"{split}.tsv").write_text(text)
    return str(folder)


def run_of(data, split, ranking):
    rows = data.split(split).query_rows
    ids = np.tile(np.array(ranking, np.int32), (len(rows), 1))
    return QueryRankings(rows, ids, np.tile(-np.arange(len(ranking), dtype=np.float32), (len(rows), 1)))


def test_half_a_grade_is_half_a_gain(tmp_path):
    data = Beir(write(tmp_path / "set", test=HALF)).load()
    found = per_query(run_of(data, "test", [1, 0, 2]), data.split("test"), data, ["ndcg@10", "recall@1", "mrr@10"])
    expected = [(0.5 + 1 / math.log2(3)) / (1 + 0.5 / math.log2(3)), (0.5 / math.log2(4)) / 0.5]
    assert found["ndcg@10"] == pytest.approx(expected)
    assert found["recall@1"] == pytest.approx([0.5, 0]) and found["mrr@10"] == pytest.approx([1, 1 / 3])
    assert TrainingSet(data, "test").positives[0].tolist() == [0, 1], "anything above 0 is relevant"


def test_fractions_are_the_formula_over_many_random_grades():
    draw = random.Random(0)
    for _ in range(20):
        labels = {"q": {f"d{i}": draw.choice([0, 0.1, 0.25, 0.5, 1, 2]) for i in range(8)} | {"d9": 0.75}}
        order = draw.sample(sorted(labels["q"]), 6)
        gains = [labels["q"][doc] / math.log2(rank + 2) for rank, doc in enumerate(order)]
        ideal = sorted(labels["q"].values(), reverse=True)
        best = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(ideal[:10]))
        found = of_rankings({"q": {doc: -float(i) for i, doc in enumerate(order)}}, labels, ["ndcg@10"])
        assert found["ndcg@10"] == pytest.approx([sum(gains) / best])


def test_the_steps_of_grades():
    assert [whole_steps(grades) for grades in ([], [0, 1, 2], [0.5, 1], [0.25, 0.1], [-0.5, 1])] == [1, 1, 2, 20, 1]
    assert whole_steps(np.array([0.1, 0.3], np.float32).tolist()) == 10, "as written, not as float32 holds it"


def test_grades_without_a_common_step_are_refused_where_they_are_read(tmp_path):
    folder = write(tmp_path / "set", test="q0\td0\t0.333333\nq0\td1\t1\n")
    with pytest.raises(DataError, match=r"test\.tsv: grades like 0\.333333 have no common step .* round them"):
        Beir(folder).load()


def test_qrels_of_ab_keep_fractions(tmp_path):
    (tmp_path / "qrels").write_text(HALF)
    assert read_qrels(tmp_path / "qrels") == {"q0": {"d0": 1, "d1": 0.5}, "q1": {"d2": 0.5}}


@pytest.mark.parametrize("bar", [2, 2.0, 3])
def test_relevant_from_is_trec_evals_level_in_evaluation_and_decides_in_training(tmp_path, bar, caplog):
    with caplog.at_level(logging.INFO):
        data = Beir(write(tmp_path / "set"), relevant_from=bar).load()
    assert f"relevant from grade {bar:g}" in caplog.text
    relevant = {"q0": {2: [0, 2], 3: [0]}[int(bar)], "q1": {2: [4], 3: []}[int(bar)]}
    training = TrainingSet(data)
    assert [training.positives[q].tolist() for q in (0, 1, 2)] == [*relevant.values(), []]
    assert len(training.queries) == sum(map(bool, relevant.values()))

    names = ["ndcg@10", "mrr@10", "recall@3", "map@10"]
    run = run_of(data, "test", [1, 5, 2, 4, 0])
    found = per_query(run, data.split("test"), data, names)
    written: dict[str, dict[str, int]] = {}
    for line in GRADED.splitlines():
        query, doc, grade = line.split("\t")
        written.setdefault(query, {})[doc] = int(grade)
    measures = {"ndcg_cut.10", "recip_rank", "recall.3", "map_cut.10"}
    expected = pytrec_eval.RelevanceEvaluator(written, measures, relevance_level=int(bar)).evaluate(run.as_dict(data))
    for name, key in zip(names, ["ndcg_cut_10", "recip_rank", "recall_3", "map_cut_10"], strict=True):
        assert found[name].tolist() == pytest.approx([expected[query][key] for query in expected])
    judged = from_data(data, "test")
    again = of_rankings(run.as_dict(data), judged.labels, names, judged.gains)
    assert {name: values.tolist() for name, values in again.items()} == {n: v.tolist() for n, v in found.items()}


def test_a_grade_that_no_document_has_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no document has a grade of data\.relevant_from=4 or more; lower it"):
        Beir(write(tmp_path / "set"), relevant_from=4).load()


def test_relevant_from_by_split(tmp_path):
    data = Beir(write(tmp_path / "set", train="q0\td0\t1\n"), relevant_from={"test": 2}).load()
    assert TrainingSet(data).positives[0].tolist() == [0]
    assert data.split("test").query_rows.tolist() == [0, 1] and data.split("train").gains is None
    with pytest.raises(ConfigError, match="relevant_from names dev; the splits are test, train"):
        Beir(write(tmp_path / "other"), relevant_from={"dev": 2}).load()


def test_sets_of_a_mix_keep_their_own(tmp_path):
    one, two = (write(tmp_path / name) for name in ("one", "two"))
    mixed = Mix({"one": Beir(one, relevant_from=2), "two": Beir(two)}).load()
    assert len(mixed.split("test").query_rows) == 2 + 3
    alone = Beir(one, relevant_from=2).load()
    for data in (mixed, alone):
        run = run_of(data, "test", [1, 5, 2, 4, 0])
        values = per_query(run, data.split("test"), data, ["ndcg@10", "mrr@10"])
        assert values["ndcg@10"][0] == pytest.approx(0.66372, abs=1e-5) and values["mrr@10"][0] == pytest.approx(1 / 3)


def test_another_level_is_another_test_set_and_another_run(tmp_path):
    folder = write(tmp_path / "set")
    plain, from_one, from_two = (Beir(folder, relevant_from=bar).load().fingerprint("test") for bar in (None, 1, 2))
    assert len({plain, from_two}) == 2 and from_one != from_two
    node = {"_target_": "hardneg.data.readers.beir.Beir", "path": "x"}
    assert identity({"data": {**node, "relevant_from": 2}}) != identity({"data": {**node, "relevant_from": None}})


@pytest.mark.parametrize("wrong", [0, -1, True, "two", {"test": 0}])
def test_what_is_no_grade_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"data\.relevant_from="):
        Beir("somewhere", relevant_from=wrong)
