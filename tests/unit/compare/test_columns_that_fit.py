"""Which columns of the table a terminal has room for."""

from __future__ import annotations

import io

import pytest
from folders import sweep
from rich.console import Console

from hardneg.compare import tables
from hardneg.compare.arms import arms
from hardneg.compare.contrasts import ComparisonPlan, compare
from hardneg.compare.finished_runs import find


def shown(folder, monkeypatch, width, **plan):
    """The table's lines, and whether each fits."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=width)
    monkeypatch.setattr(tables, "console_at", lambda _: console)
    tables.show(compare("toy", arms(find([folder]).runs), ComparisonPlan("ndcg@10", **plan)))
    assert max(map(len, out.getvalue().splitlines())) <= width
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140, 180])
@pytest.mark.parametrize("margin", [None, 0.02])
def test_the_verdict_is_always_there(tmp_path, monkeypatch, width, margin):
    """Of 80 columns it was the one that was cut, and it is what was asked for."""
    sweep(tmp_path, {"in_batch": 0.4, "in_batch+random": 0.7})
    table = shown(tmp_path, monkeypatch, width, margin=margin).split("SD: between")[0]
    assert "verdict" in table and "better" in table


def test_a_wide_terminal_has_them_all(tmp_path, monkeypatch):
    sweep(tmp_path, {"in_batch": 0.4, "in_batch+random": 0.7})
    table, legend = shown(tmp_path, monkeypatch, 180).split("SD: between")
    assert all(head in table for head in ("seeds", "SD", "df", "win / tie", "dz", "on seeds"))
    assert "Too wide" not in legend


def test_a_narrow_one_names_those_that_it_has_not(tmp_path, monkeypatch):
    """A file has them, and the legend explains those that are there."""
    sweep(tmp_path, {"in_batch": 0.4, "in_batch+random": 0.7})
    said = " ".join(shown(tmp_path, monkeypatch, 80).split())
    assert "Too wide for this terminal: seeds, SD, df, p, win / tie / loss, dz, on seeds x queries; --markdown" in said
    assert "p Holm: over the" in said and not any(what in said for what in ("SD:", "df:", "Win / tie", "dz:", "Both"))


def test_the_title_is_not_broken_at_the_table_s_width(tmp_path, monkeypatch):
    sweep(tmp_path, {"in_batch": 0.4, "random": 0.7})
    table = compare("toy", arms(find([tmp_path]).runs), ComparisonPlan("ndcg@10"))
    monkeypatch.setattr(tables, "title", lambda _: "a title " * 24)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=200)
    monkeypatch.setattr(tables, "console_at", lambda _: console)
    tables.show(table)
    assert out.getvalue().splitlines()[0].split() == ["a", "title"] * 24


def test_a_pipe_or_file_has_all_of_them_whatever_an_arms_name(tmp_path, capsys):
    """It has no width that anything could be too wide for."""
    arm = "in_batch+" + "+".join(f"random{number}" for number in range(9))
    sweep(tmp_path, {"in_batch": 0.4, arm: 0.7})
    tables.show(compare("toy", arms(find([tmp_path]).runs), ComparisonPlan("ndcg@10", margin=0.02)))
    said = capsys.readouterr().out
    assert "Too wide" not in said and arm in said
    assert all(head in said for head in ("seeds", "SD", "df", "win / tie", "dz", "on seeds", "p not", "verdict"))
