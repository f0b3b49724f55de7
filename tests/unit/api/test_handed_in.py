"""Data handed in from Python are read as the same data from a file."""

from __future__ import annotations

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from hardneg.api.data import Data, words_for
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.table import Table
from hardneg.errors import ConfigError, DataError

ROWS = [
    {"id": place, "question": f"what is {word}", "answer": f"{word} is a word", "negative": f"{word} is a number"}
    for place, word in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
]


def texts(data):
    named = {split: [data.queries.take(q.queries), data.corpus.take(q.docs)] for split, q in data.qrels.items()}
    return data.name, data.corpus.texts.to_pylist(), data.queries.texts.to_pylist(), named


def polars_frame():
    return pytest.importorskip("polars").DataFrame(ROWS)


FORMS = {
    "pandas": lambda: Data.from_pandas(pd.DataFrame(ROWS, index=range(5, 15)), name="one"),
    "polars": lambda: Data.from_polars(polars_frame(), name="one"),
    "lazy": lambda: Data.from_polars(polars_frame().lazy(), name="one"),
    "dataset": lambda: Data.from_dataset(datasets.Dataset.from_list(ROWS), name="one"),
    "chosen": lambda: Data.from_dataset(datasets.Dataset.from_list([ROWS[3], *ROWS]).select(range(1, 11)), name="one"),
    "streamed": lambda: Data.from_dataset(datasets.Dataset.from_list(ROWS).to_iterable_dataset(), name="one"),
    "arrow": lambda: Data.from_arrow(pa.Table.from_pylist(ROWS), name="one"),
    "records": lambda: Data.from_records(iter(ROWS), name="one"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_table_in_a_file_and_has_one_name(form, tmp_path):
    pa.csv.write_csv(pa.Table.from_pylist(ROWS), tmp_path / "one.csv")
    data = FORMS[form]()
    assert texts(data.load(tmp_path)) == texts(Table(str(tmp_path / "one.csv")).load())
    assert data.layout.key == FORMS["records"]().layout.key
    assert [path.name for path in data.kept(tmp_path).iterdir()] == ["train.parquet"]
    assert data.words(tmp_path) == ["data=table", f"data.path={data.kept(tmp_path)}", "data.name=one"]


def test_splits_and_columns_are_those_that_are_given(tmp_path):
    frame = pd.DataFrame({"a": ["x y", "z"], "b": ["p", "q r"], "c": [["n", "m"], None]})
    columns = {"query": "b", "positive": "a", "negative": "c"}
    data = Data.from_pandas(
        frame, test=frame[:1], corpus=pd.DataFrame({"text": ["more"]}), columns=columns, dev_share=0
    )
    found = data.load(tmp_path)
    assert set(found.qrels) == {"train", "test"} and "more" in found.corpus.texts.to_pylist()
    assert found.queries.texts.to_pylist() == ["p", "q r"] and found.given.counts.sum() == 2
    assert "data.columns={query: b,positive: a,negative: c}" in data.words(
        tmp_path
    ) and "data.dev_share=0" in data.words(tmp_path)
    both = datasets.DatasetDict(
        train=datasets.Dataset.from_pandas(frame), validation=datasets.Dataset.from_pandas(frame)
    )
    assert set(Data.from_dataset(both, columns=columns, test_share=0).load(tmp_path).qrels) == {"train", "dev"}
    again = Data.from_pandas(frame.assign(a=["x y", "other"]), columns=columns)
    assert again.layout.key != Data.from_pandas(frame, columns=columns).layout.key


def test_one_split_alone_is_evaluated_whole_and_not_trained_on(tmp_path):
    data = Data.from_records(None, test=ROWS)
    found = data.load(tmp_path)
    assert list(found.qrels) == ["test"] and len(found.qrels["test"]) == len(ROWS)
    with pytest.raises(ConfigError, match="test alone, and nothing to train on"):
        words_for(data, tmp_path)


def test_dictionaries_are_a_judged_set(tmp_path):
    corpus = {7: {"title": "T", "text": "seven"}, "b": "a b"}
    queries = {"q1": "what", "q2": "where"}
    qrels = {"train": {"q1": {7: 1}}, "dev": {"q2": {"b": 2}}, "test": {"q2": {"b": 2, "7": 0}}}
    data = Data.from_dict(corpus, queries, qrels, relevant_from=2)
    found = data.load(tmp_path)
    assert found.corpus.ids.to_pylist() == ["7", "b"] and found.corpus[0] == "T seven"
    assert found.qrels["test"].scores.tolist() == [2.0, 0.0] and found.qrels["test"].docs.tolist() == [1, 0]
    assert data.words(tmp_path)[0] == "data=beir" and "data.relevant_from=2" in data.words(tmp_path)
    assert texts(found) == texts(Beir(str(data.kept(tmp_path)), relevant_from=2, name="set").load())
    many = Data.from_dict(
        {str(n): f"text {n}" for n in range(40)},
        {str(n): f"query {n}" for n in range(40)},
        {str(n): {str(n): 1} for n in range(40)},
    )
    assert set(many.load(tmp_path).qrels) == {"train", "dev", "test"}


def test_whole_numbers_of_numpy_are_ids(tmp_path):
    """Those that `iterrows` gives were refused as no whole numbers."""
    qrels = {}
    for _, row in pd.DataFrame({"query": [1, 2], "document": [5, 6], "grade": [1, 2]}).iterrows():
        qrels[row["query"]] = {row["document"]: row["grade"]}
    found = Data.from_dict({5: "five", 6: "six"}, {1: "one", 2: "two"}, qrels, dev_share=0, test_share=0).load(tmp_path)
    assert found.qrels["train"].docs.tolist() == [0, 1] and found.qrels["train"].scores.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Data.from_pandas(pd.DataFrame({"x": [1], "y": [2]})), "frame, train: no query field .there are: x, y"),
        (lambda: Data.from_pandas(pd.DataFrame(ROWS), columns={"query": "q", "positive": "answer"}), "no column 'q'"),
        (lambda: Data.from_pandas(pd.DataFrame(ROWS[:0])), "frame, train: the table has no rows"),
        (
            lambda: Data.from_pandas(pd.DataFrame({"query": ["a", 1], "positive": ["b", "c"]})),
            "give each column one type",
        ),
        (lambda: Data.from_records(["query"]), "row 0 is a str"),
        (lambda: Data.from_records("query"), "is a str; give a pandas or polars frame"),
        (lambda: Data.from_dict({"d": 1}, {"q": "a"}, {"q": {"d": 1}}).layout.key, "document 'd' has no text"),
        (lambda: Data.from_dict({"d\t": "a"}, {"q": "a"}, {"q": {"d": 1}}), "has a tab or a line break"),
        (lambda: Data.from_dict({"7": "a", 7: "b"}, {"q": "a"}, {"q": {"7": 1}}), "one id"),
    ],
)
def test_what_cannot_be_read_is_told_at_once(make, says):
    with pytest.raises(DataError, match=says):
        make()


def test_a_row_that_cannot_be_read_is_told_by_its_place_in_the_table(tmp_path):
    """It was told by the path of our file in the cache."""
    rows = [*ROWS[:3], {**ROWS[3], "answer": " "}]
    data = Data.from_pandas(pd.DataFrame(rows, index=range(5, 9)))
    with pytest.raises(DataError, match=r"^train, row 3 \(from 0\): 'answer' is empty; fill it or remove the row"):
        data.load(tmp_path)


def test_its_columns_are_told_by_its_place_too(tmp_path, caplog):
    with caplog.at_level("INFO"):
        Data.from_pandas(pd.DataFrame(ROWS).assign(rating=1)).load(tmp_path)
    assert any(said.startswith("train: columns are read as query: question; ") for said in caplog.messages)


def test_options_are_those_of_the_reader():
    with pytest.raises(
        ConfigError, match="colums is unknown; there are train, dev, test, corpus, columns, positive_from"
    ):
        Data.from_pandas(pd.DataFrame(ROWS), colums={})
    with pytest.raises(ConfigError, match="'extra' is not a split"):
        Data.from_dataset({"train": datasets.Dataset.from_list(ROWS), "extra": datasets.Dataset.from_list(ROWS)})
    with pytest.raises(ConfigError, match="no table to train on"):
        Data.from_pandas(corpus=pd.DataFrame({"text": ["a"]}))


def test_a_path_and_a_built_in_set_are_words(tmp_path):
    pa.csv.write_csv(pa.Table.from_pylist(ROWS), tmp_path / "one.csv")
    assert words_for("toy", None) == ["data=toy"]
    assert words_for(tmp_path / "one.csv", None) == ["data=table", f"data.path={tmp_path / 'one.csv'}"]
    with pytest.raises(ConfigError, match=r"nowhere.csv: there is no such file"):
        words_for("nowhere.csv", None)
