"""The table of jobs, from folders alone."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from hardneg.runs import status
from hardneg.sweep import live_table
from hardneg.sweep.jobs_table import JobRow, count, names, rows, show
from hardneg.sweep.live_table import fitting, view


def folder(path, name, state, **facts):
    status.write(path, name=name, state=state, best="ndcg@10", **facts)
    return path


@pytest.fixture
def sweep(tmp_path):
    """Jobs in five states, one of which was killed before it had a status."""
    folder(tmp_path / "a", "waits", "waiting", overrides=[])
    folder(
        tmp_path / "b",
        "ends",
        "done",
        step=9,
        steps=9,
        started=1.0,
        test={"ndcg@10": 0.5},
        dev_at_best={"ndcg@10": 0.25},
    )
    folder(tmp_path / "c", "fails", "failed", error="ValueError: [red] no\nmore")
    folder(tmp_path / "d", "killed", "running", step=3, steps=9)
    (tmp_path / "e" / ".hydra").mkdir(parents=True)
    (tmp_path / "e" / ".hydra" / "config.yaml").write_text("seed: 1")
    return tmp_path


def test_every_job_has_a_line_with_what_is_known_of_it(sweep, capsys):
    assert [(row.name, row.state) for row in rows(sweep)] == [
        ("waits", "waiting"), ("ends", "done"), ("fails", "failed"), ("killed", "interrupted"), ("e", "interrupted"),
    ]  # fmt: skip
    assert count(rows(sweep)) == "5 jobs: 1 failed, 2 interrupted, 1 waiting, 1 done"
    show(sweep)
    said = capsys.readouterr().out
    assert "ValueError: [red] no" in said and "more" not in said
    assert "0.5000" in said and "0.2500" in said and "3/9" in said


def test_the_title_of_a_sweep_in_a_long_path_is_in_one_line(tmp_path, capsys):
    sweep = tmp_path / "-".join(["long"] * 40)
    folder(sweep / "one", "one", "done")
    show(sweep)
    assert f"{sweep}: 1 job: 1 done" in capsys.readouterr().out.splitlines()


def test_a_job_that_runs_is_seen_to_run(sweep):
    with status.held(sweep / "d"):
        assert rows(sweep)[3].state == "running"


def test_a_job_that_has_begun_and_not_said_so_yet_runs(tmp_path):
    (tmp_path / "new" / ".hydra").mkdir(parents=True)
    (tmp_path / "new" / ".hydra" / "config.yaml").touch()
    assert rows(tmp_path)[0].state == "interrupted"
    with status.held(tmp_path / "new"):
        assert rows(tmp_path)[0].state == "running"


def test_jobs_of_one_name_are_told_apart_by_their_words(tmp_path):
    words = (["lr=1", "seed=1"], ["lr=2", "seed=1"])
    found = [JobRow(tmp_path, "in_batch-infonce-s1", "done", {"overrides": one}) for one in words]
    assert names(found) == ["in_batch-infonce-s1 lr=1", "in_batch-infonce-s1 lr=2"]
    assert names(found[:1]) == ["in_batch-infonce-s1"]
    found[0].facts["overrides"] = [*found[0].facts["overrides"], f"ckpt_path='{tmp_path}/checkpoints/last.ckpt'"]
    found[1].facts["overrides"] = [*found[1].facts["overrides"], "ckpt_path=other.ckpt"]
    assert names(found) == ["in_batch-infonce-s1 lr=1", "in_batch-infonce-s1 lr=2 ckpt_path=other.ckpt"]


def test_a_terminal_with_few_lines_keeps_what_runs_and_what_failed(tmp_path):
    states = ["done"] * 5 + ["running", "failed"] + ["waiting"] * 5
    found = [JobRow(tmp_path, str(number), state) for number, state in enumerate(states)]
    assert [row.state for row in fitting(found, 4)] == ["done", "done", "running", "failed"]
    assert fitting(found, 99) == found and len(fitting(found, 0)) == 2


def test_without_a_terminal_each_change_is_one_line(sweep, caplog):
    caplog.set_level("INFO")
    with view([sweep / name for name in "abcd"]) as look:
        folder(sweep / "a", "waits", "done", test={"ndcg@10": 0.75})
        look()
        look()
    assert [record.getMessage() for record in caplog.records] == ["[4/4] waits done  ndcg@10 0.7500"]


@pytest.mark.parametrize(("pause", "times"), [(0.0, 3), (1000.0, 1)])
def test_the_live_table_is_not_drawn_at_every_look(sweep, monkeypatch, pause, times):
    drawings = []
    monkeypatch.setattr(live_table, "Console", lambda **_: Console(file=io.StringIO(), force_terminal=True))
    monkeypatch.setattr(live_table, "drawn", lambda rows, *_: Text(f"{drawings.append(rows)}"))
    monkeypatch.setattr(live_table, "PAUSE", pause)
    with view([sweep / name for name in "abcd"]) as look:
        for _ in range(3):
            look()
    assert len(drawings) == times
