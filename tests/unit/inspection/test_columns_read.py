"""What inspect says of the columns of a table."""

from __future__ import annotations

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
