"""Several data sets as one: ids, rows, splits, labels, prompts, and nothing across sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ready import mix
from tokenizers import Tokenizer, models, pre_tokenizers

from hardneg.data.mix import Mix
from hardneg.data.prompts import tell_prompts
from hardneg.data.readers.table import Table
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import Side, token_tables
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError, DataError
from hardneg.mining.base import mining_pool, tasks
from hardneg.mining.baseline import baseline_run
from hardneg.mining.bm25 import BM25
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.negatives.base import Setting
from hardneg.negatives.random import Random
from hardneg.testing.synthetic import make_data, make_texts


def pairs(qrels):
    return list(zip(qrels.queries.tolist(), qrels.docs.tolist(), qrels.scores.tolist(), strict=True))


A = make_data([(0, 1), (1, 0, 0)], docs=["red", "blue"], queries=["ask", "other"], dev=[(1, 1)], given=[(0, 0)])
B = make_data([(0, 2)], docs=["green", "blue", "pink"], queries=["ask"], test=[(0, 0, 3)])


def test_rows_of_the_sets_follow_each_other_and_ids_say_whose_they_are():
    data = mix(a=A, b=B).load()
    assert data.name == "a+b" and mix(a=A, name="both").load().name == "both"
    assert data.corpus.ids.to_pylist() == ["a/d0", "a/d1", "b/d0", "b/d1", "b/d2"]
    assert data.corpus.texts.to_pylist() == ["red", "blue", "green", "blue", "pink"]
    assert data.queries.ids.to_pylist() == ["a/q0", "a/q1", "b/q0"]
    assert [(part.name, part.queries, part.docs) for part in data.parts] == [
        ("a", range(0, 2), range(0, 2)),
        ("b", range(2, 3), range(2, 5)),
    ]
    assert data.parts_of(np.array([0, 1, 2])).tolist() == [0, 0, 1]
    assert [(part.name, rows) for part, rows in data.by_part(np.array([1, 2]))] == [
        ("a", slice(0, 1)),
        ("b", slice(1, 2)),
    ]
    assert [part.name for part, _ in data.by_part(np.array([2]))] == ["b"]


def test_splits_are_merged_by_name_and_given_negatives_are_kept():
    data = mix(a=A, b=B).load()
    assert pairs(data.split("train")) == [(0, 1, 1), (1, 0, 0), (2, 4, 1)]
    assert pairs(data.split("dev")) == [(1, 1, 1)] and pairs(data.split("test")) == [(2, 2, 3)]
    assert [data.given[row].tolist() for row in range(3)] == [[0], [], []]
    assert mix(b=B).load().given is None


def test_truth_is_known_only_where_it_is_known_of_all(toy):
    assert mix(toy=toy, a=A).load().truth is None
    both = mix(one=toy, two=toy).load().truth
    assert len(both) == 2 * len(toy.truth) and both.docs.max() == len(toy.corpus) + toy.truth.docs.max()


def test_a_document_with_a_positives_text_is_one_in_any_set_but_labels_stay_in_theirs():
    known = TrainingSet(mix(a=A, b=B).load()).known
    # "ask" stands in both sets, "blue" too: a's query knows both blues, but not what b's labels say of "ask".
    assert [known[row].tolist() for row in range(3)] == [[1, 3], [], [4]]


def test_other_bounds_are_other_data():
    one = mix(a=A, b=B).load()
    two = RetrievalData(one.name, one.corpus, one.queries, one.qrels)
    assert one.fingerprint("train") != two.fingerprint("train")
    assert TrainingSet(one).fingerprint != TrainingSet(two).fingerprint
    assert one.fingerprint("train") == mix(a=A, b=B).load().fingerprint("train")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Mix(), "data.sets is empty"),
        (lambda: mix(**{"a/b": A}), "'a/b' cannot be part of an id"),
        (lambda: Mix({"a": 3}), "data.sets.a is a int, not a data set of its own"),
        (lambda: Mix({"a": mix(b=B)}), "data.sets.a is a Mix"),
        (lambda: mix(a=A, temper=1.5), "data.temper=1.5 must be from 0"),
        (lambda: mix(a=A, prompts={"c": {"query": "x"}}), "data.prompts.c: there is no such set; data.sets has a"),
        (lambda: mix(a=A, prompts={"a": {"qeury": "x"}}), "must be of the form {query: TEXT, document: TEXT}"),
        (lambda: mix(a=A, prompts={"a": "x"}), "must be of the form"),
    ],
)
def test_what_cannot_be_mixed_is_refused_before_it_is_loaded(make, says):
    with pytest.raises(ConfigError) as raised:
        make()
    assert says in str(raised.value)


def words():
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "ask": 1, "other": 2, "find": 3, "say": 4, "red": 5}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def test_each_set_has_its_prompts_and_else_the_encoders(tmp_path):
    data = mix(a=A, b=B, prompts={"b": {"query": "say "}, "a": {"document": ""}}).load()
    queries, docs = token_tables(data, words(), Side("find "), Side("red "), tmp_path)
    assert queries.batch(np.arange(3)).input_ids.tolist() == [[3, 1], [3, 2], [4, 1]]
    assert docs.batch(np.arange(5)).input_ids.tolist() == [[5, 0], [0, 0], [5, 0], [5, 0], [5, 0]]
    assert docs.lengths.tolist() == [1, 1, 2, 2, 2]
    bare, _ = token_tables(data.without_prompts(), words(), Side("find "), Side("red "), tmp_path)
    assert bare.batch(np.arange(3)).input_ids.tolist() == [[3, 1], [3, 2], [3, 1]]
    alike = mix(a=A, b=B, prompts={"b": {"query": "find "}}).load()
    same, _ = token_tables(alike, words(), Side("find "), Side("red "), tmp_path)
    assert same.key == bare.key != queries.key, "a prompt that says the same is no other table"


def test_the_data_s_prompt_is_told_where_the_run_s_own_model_is_opened(tmp_path, caplog):
    path = tmp_path / "pairs.csv"
    path.write_text("question,answer,prompt\na,A,say \n", encoding="utf-8")
    caplog.set_level("INFO")
    data = Table(str(path)).load()
    token_tables(data, words(), Side("find "), Side(), tmp_path)
    assert data.query_prompt == "say " and "the data's prompt" not in caplog.text, "it may be a miner's"
    tell_prompts(data, "find ")
    assert caplog.text.count("pairs: the data's prompt 'say ' precedes every query") == 1
    assert "train with encoder.query.prompt" in caplog.text, "no other command has such a key"
    caplog.clear()
    tell_prompts(data, "say ")
    tell_prompts(data.without_prompts(), "find ")
    assert "the data's prompt" not in caplog.text


def test_the_prompts_of_a_mix_are_told_in_one_line_without_advice_that_fits_one(caplog):
    data = mix(a=A, b=B, prompts={"a": {"query": "find "}, "b": {"query": "say "}}).load()
    caplog.set_level("INFO")
    tell_prompts(data, "")
    assert caplog.messages == ["query prompts of single sets, in place of encoder.query.prompt: a 'find ', b 'say '"]
    caplog.clear()
    tell_prompts(mix(a=A, b=B, prompts={"a": {"document": "red "}}).load(), "")
    assert not caplog.messages


@pytest.fixture(scope="module")
def two():
    """Two worlds in one language, of different sizes."""
    first = Toy(docs=150, queries=60, names=12, attributes=6)
    return Mix({"one": first, "two": Toy(docs=90, queries=40, names=12, attributes=6)}).load(), first.load()


def own(data, queries):
    """Each query's documents: first and last row."""
    part = [data.parts[place] for place in data.parts_of(queries)]
    return np.array([[p.docs.start, p.docs.stop] for p in part])


def test_mined_lists_stay_in_the_querys_set_and_are_those_of_the_set_alone(two, tmp_path):
    data, first = two
    recipe = MiningRecipe(BM25(), 20, "all", {})
    training = TrainingSet(data)
    store = mine_and_store(recipe, training, tmp_path)
    ids, bounds = store.ids[training.queries], own(data, training.queries)
    listed = ids >= 0
    assert listed.any(axis=1).all()
    assert ((ids >= bounds[:, :1]) & (ids < bounds[:, 1:]) | ~listed).all()
    alone = mine_and_store(recipe, TrainingSet(first), tmp_path)
    rows = TrainingSet(first).queries
    np.testing.assert_array_equal(store.ids[rows], alone.ids[rows])
    np.testing.assert_array_equal(store.scores[rows], alone.scores[rows])


def test_one_set_alone_is_one_task_over_everything(two, tmp_path):
    _, first = two
    training = TrainingSet(first)
    ((queries, task),) = tasks(training, training.queries, mining_pool(training, "all"), tmp_path)
    assert queries.tolist() == training.queries.tolist() and len(task.pool) == len(first.corpus)
    assert task.work == tmp_path and task.positives.tolist() == np.unique(training.known.values).tolist()


def test_a_set_of_which_nothing_may_be_mined_is_refused(two, tmp_path):
    training = TrainingSet(two[0])
    with pytest.raises(DataError, match="none of the documents that may be mined is of two"):
        tasks(training, training.queries, np.arange(150, dtype=np.int32), tmp_path)


def test_random_documents_are_of_the_querys_set(two):
    data, _ = two
    source = Random(8)
    source.prepare(Setting(TrainingSet(data), {}, Path("unused")))
    for query in TrainingSet(data).queries:
        (first, last) = own(data, np.array([query]))[0]
        ids = np.concatenate([source.draw(int(query), np.random.default_rng(seed)).ids for seed in range(20)])
        assert first <= ids.min() < first + 15 and last - 15 <= ids.max() < last


def test_a_baseline_ranks_the_querys_set_as_if_it_were_alone(two, tmp_path):
    data, first = two
    run = baseline_run(BM25(), data, "test", 10, tmp_path)
    alone = baseline_run(BM25(), first, "test", 10, tmp_path)
    bounds = own(data, run.queries)
    assert ((run.ids >= bounds[:, :1]) & (run.ids < bounds[:, 1:]) | (run.ids < 0)).all()
    np.testing.assert_array_equal(run.ids[: len(alone.ids)], alone.ids)
    assert (run.ids[len(alone.ids) :] >= 150).any()


def test_texts_of_a_slice_are_those_rows():
    cut = make_texts(["a", "b", "c"]).slice(range(1, 3))
    assert len(cut) == 2 and cut.take([0, 1]) == ["b", "c"] and cut.rows == {"d1": 0, "d2": 1}
