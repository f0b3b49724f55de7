"""The table of jobs on terminals of some widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hardneg.sweep.jobs_table import JobRow, table
from hardneg.sweep.live_table import drawn

SHARED = "my_pairs.csv-in_batch+bm25-infonce-s"


def test_names_are_whole_and_no_column_is_cut(tmp_path):
    facts = {"best": "ndcg@10", "step": 22, "steps": 22, "started": 0.0, "updated": 3.0, "test": {"ndcg@10": 0.4375}}
    jobs = [JobRow(tmp_path, f"{SHARED}{seed}", "done", facts) for seed in (1, 2)]
    out = io.StringIO()
    Console(file=out, width=80).print(table(jobs, 80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and "time" in out.getvalue() and "0.4375" in out.getvalue()
    shown = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert shown == f"{SHARED}1{SHARED}2"


def long_jobs(folder, *others):
    """Jobs of many steps and hours: one that is done, one that has failed, and others by their states."""
    facts = {"best": "ndcg@10", "step": 12000, "steps": 120000, "started": 0.0, "updated": 36000.0}
    facts["test"] = {"ndcg@10": 0.4375}
    failed = {**facts, "error": "ValueError: no [rate]"}
    states = ("done", "failed", *others)
    return [
        JobRow(folder, f"{SHARED}{number:02}", state, failed if state == "failed" else facts)
        for number, state in enumerate(states)
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_failed_job_costs_no_digit_and_its_error_is_told(tmp_path, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table(long_jobs(tmp_path, "interrupted"), width))
    said = out.getvalue()
    assert max(map(len, said.splitlines())) <= width and said.count("10:00:00") == 3
    assert said.count("12000/120000") == 2 and said.count("0.4375") == 3 and "ValueError: no [rate]" in said
    shown = "".join(line.split("│")[1].strip() for line in said.splitlines() if line.startswith("│"))
    assert all(f"{SHARED}{number:02}" in shown for number in range(3))


@pytest.mark.parametrize("width", [66, 80, 100, 160])
def test_each_job_that_runs_takes_one_line(tmp_path, width):
    """`Live` cuts what goes beyond the terminal's height."""
    out = io.StringIO()
    Console(file=out, width=width, height=24).print(drawn(long_jobs(tmp_path, *["done"] * 28), width, 24))
    said = out.getvalue()
    assert said.count("\n") <= 24 and max(map(len, said.splitlines())) <= width
    jobs = [line.split("│")[1].strip() for line in said.splitlines() if line.startswith("│")]
    assert len(jobs) == len(set(jobs)) == 16 and all(name.startswith("my_") for name in jobs)


@pytest.mark.parametrize("width", [66, 80, 100, 160])
def test_a_name_of_several_words_takes_one_line_too(tmp_path, width):
    facts = {"best": "ndcg@10", "step": 12000, "steps": 120000, "started": 0.0, "updated": 36000.0}
    jobs = [JobRow(tmp_path, f"loss=infonce seed={n} batch_size={n} lr={n} k={n}", "running", facts) for n in range(12)]
    out = io.StringIO()
    Console(file=out, width=width, height=24).print(drawn(jobs, width, 24))
    said = out.getvalue()
    assert said.count("\n") <= 20 and max(map(len, said.splitlines())) <= width
    called = [line.split("│")[1].strip() for line in said.splitlines() if line.startswith("│")]
    assert len(called) == len(set(called)) == 12 and all(name.startswith("lo") for name in called)


def test_columns_stand_closer_where_names_are_whole_by_that(tmp_path):
    facts = {"best": "ndcg@10", "step": 33, "steps": 33, "started": 0.0, "updated": 31.0}
    facts |= {"test": {"ndcg@10": 0.4375}, "dev_at_best": {"ndcg@10": 0.5}}
    jobs = [JobRow(tmp_path, f"pairs.csv-in_batch+mined-infonce-s{seed}", "done", facts) for seed in range(9)]
    out = io.StringIO()
    Console(file=out, width=80).print(table(jobs, 80))
    assert all(f"{job.name}│" in out.getvalue() for job in jobs) and max(map(len, out.getvalue().splitlines())) <= 80


@pytest.mark.parametrize(
    ("error", "beside"), [("KeyError: 'k'", True), (f"ValueError: {'too long ' * 12}[rate]", False)]
)
def test_an_error_is_whole_and_beside_its_job_where_there_is_room(tmp_path, error, beside):
    jobs = long_jobs(tmp_path)
    jobs[1].facts["error"] = error
    out = io.StringIO()
    Console(file=out, width=160).print(table(jobs, 160))
    said = out.getvalue()
    assert any(jobs[1].name in line and error in line for line in said.splitlines() if line.startswith("│")) == beside
    assert error in " ".join(said.split()) and "…" not in said
