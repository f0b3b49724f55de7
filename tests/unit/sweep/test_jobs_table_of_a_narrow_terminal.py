"""The table of jobs on a terminal of 80 columns."""

from __future__ import annotations

import io

from rich.console import Console

from hardneg.sweep.jobs_table import Row, table

SHARED = "my_pairs.csv-in_batch+bm25-infonce-s"


def test_names_are_whole_and_no_column_is_cut(tmp_path):
    facts = {"best": "ndcg@10", "step": 22, "steps": 22, "started": 0.0, "updated": 3.0, "test": {"ndcg@10": 0.4375}}
    jobs = [Row(tmp_path, f"{SHARED}{seed}", "done", facts) for seed in (1, 2)]
    out = io.StringIO()
    Console(file=out, width=80).print(table("multirun/first", jobs, 80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and "time" in out.getvalue() and "0.4375" in out.getvalue()
    shown = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert shown == f"{SHARED}1{SHARED}2"
