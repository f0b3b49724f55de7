"""Tables with several columns of numbers: the label is read before scores, and scores that do not fit are left."""

from __future__ import annotations

import json

import pytest

from hardneg.data.readers.columns import plain, recognised
from hardneg.data.readers.examples import Examples
from hardneg.data.readers.lines import BadRow


@pytest.mark.parametrize("document", ["document", "positive"])
@pytest.mark.parametrize("scores", ["score", "scores", "similarity"])
def test_a_label_is_read_whatever_scores_are_beside_it(document, scores):
    read = Examples()
    rows = [{"query": "a", document: text, "label": label, scores: "0.7"} for text, label in (("A", "1"), ("X", "0"))]
    found = [read(row) for row in rows]
    assert [(one.positives, one.negatives) for one in found] == [(["A"], []), ([], ["X"])]


def test_score_is_read_before_scores():
    assert plain(("query", "positive", "scores", "score")).score == "score"
    assert plain(("query", "positive", "similarity", "scores")).score == "scores"


@pytest.mark.parametrize("pair", [("label", "labels"), ("relevance", "similarity")])
@pytest.mark.parametrize("document", ["document", "positive"])
def test_numbers_of_which_none_comes_first_are_asked_about(pair, document):
    row = {"query": "a", document: "A", **dict.fromkeys(pair, "1")}
    with pytest.raises(BadRow, match=rf"{pair[0]} and {pair[1]} may both say .*score: FIELD"):
        recognised(row)
    with pytest.raises(BadRow, match="may both say"):
        Examples().roles(row)
    named = {"query": "query", "positive": document, "score": pair[1]}
    assert Examples(named)(row).positives == ["A"]


@pytest.mark.parametrize(
    "line",
    [
        '{"query": "a", "pos": ["A"], "neg": ["X", "Y"], "scores": [1, 2, 3, 4]}',
        '{"query": "a", "pos": ["A"], "neg": ["X", "Y"], "scores": 0.5}',
        '{"query": "a", "positive": ["A", "B"], "scores": [0.9]}',
    ],
)
def test_scores_that_are_of_something_else_are_not_read(line, caplog):
    row, read = json.loads(line), Examples()
    for _ in range(2):
        found = read(row)
        assert found.positives == (row.get("pos") or row["positive"]) and found.negatives == row.get("neg", [])
        assert not found.positive_scores and not found.negative_scores
    assert caplog.text.count("'scores' is not read in rows where it holds") == 1
    columns = {"query": "query", "positive": "pos" if "pos" in row else "positive", "score": "scores"}
    with pytest.raises(BadRow, match=r"numbers for|neither 1"):
        Examples({**columns, **({"negative": "neg"} if "neg" in row else {})})(row)


@pytest.mark.parametrize("document", ["document", "positive"])
@pytest.mark.parametrize("empty", [{"label": None}, {"label": None, "score": "0.7"}])
def test_a_pair_without_its_label_is_no_positive(document, empty):
    read = Examples()
    assert read({"query": "a", document: "A", **empty, "label": "1"}).positives == ["A"]
    with pytest.raises(BadRow, match="'label' is empty, so nothing says whether the pair is a positive") as error:
        read({"query": "a", document: "B", **empty})
    assert error.value.reason == "missing label"


def test_a_pair_without_a_score_is_no_positive_where_a_threshold_decides():
    row = {"query": "a", "document": "A", "score": None}
    with pytest.raises(BadRow, match="'score' is empty"):
        Examples(positive_from=4)(row)
    # Scores that decide nothing may be unknown, and a triple says itself which document is which.
    assert Examples()({"query": "a", "positive": "A", "score": None}).positives == ["A"]
    assert Examples()({"query": "a", "positive": "A", "negative": "B", "label": None}).negatives == ["B"]
