"""The closing table: every number can be read, however many metrics there are and whatever a set is called."""

from __future__ import annotations

import pytest

from hardneg.runs.results import show

ROWS = {name: {f"ndcg_cut_{k}": at / 10 for k in range(1, 15)} for at, name in enumerate(["BM25", "before", "after"])}


@pytest.mark.parametrize("metrics", [1, 3, 14])
def test_no_number_is_cut(metrics, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show("a run", {name: dict(list(row.items())[:metrics]) for name, row in ROWS.items()})
    told = capsys.readouterr().out
    assert "\u2026" not in told and told.count("0.2000") == metrics
    assert all(f"ndcg_cut_{k} " in told for k in range(1, metrics + 1))


def test_brackets_in_a_name_are_no_markup(capsys):
    show("pairs [v2] on [/old]", {"[bold]": {"ndcg@10": 0.5}})
    told = capsys.readouterr().out
    assert "pairs [v2] on [/old]" in " ".join(told.split()) and "[bold]" in told


def test_the_title_of_a_narrow_table_is_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    title = "pairs.csv-in_batch+bm25-infonce-s1 on pairs (test), 362 queries"
    show(title, {"after": {"ndcg@10": 0.5}})
    assert title in capsys.readouterr().out.splitlines()
