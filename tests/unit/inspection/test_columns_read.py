"""What inspect says of the columns of a table."""

from __future__ import annotations

import json

import pytest

from hardneg.inspection.columns_read import READERS, columns_read
from hardneg.inspection.opened import read
from hardneg.inspection.report import Bounds, inspect


def report_of(path, header):
    path.write_text(f"{header}\n" + "".join(f"what is thing {i},it is number {i}\n" for i in range(80)))
    return inspect(read(["data=table", f"data.path={path}", "encoder=static"]), Bounds())


def test_columns_that_were_guessed_are_in_the_command(tmp_path):
    told = report_of(tmp_path / "faq.csv", "Kundenfrage,Antwort Text")
    read_as = told["read_as"]
    assert read_as["guessed"] and read_as["columns"] == {"query": ["Kundenfrage"], "positive": ["Antwort Text"]}
    assert (read_as["query"], read_as["positive"]) == ("what is thing 0", "it is number 0")
    assert "data.columns={query: Kundenfrage, positive: 'Antwort Text'}" in told["words"]


def test_usual_names_need_not_be_said(tmp_path):
    told = report_of(tmp_path / "faq.csv", "question,answer")
    assert not told["read_as"]["guessed"] and "data.columns" not in told["command"]


@pytest.mark.parametrize(
    "row",
    [
        {"pos": ["It is red.", "It is blue."]},
        {"positive_passages": [{"docid": "7", "text": "It is red."}], "negative_passages": []},
    ],
)
def test_of_several_positives_the_first_one_is_shown(tmp_path, row):
    """The list itself stood there, in Python's words."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"query": "Which colour?", **row}) + "\n")
    assert columns_read({"_target_": READERS[0], "path": str(path)})["positive"] == "It is red."
