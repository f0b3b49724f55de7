"""The status of a run: whole at every moment, and true also after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hardneg.errors import UserError
from hardneg.runs import status


def test_a_running_state_is_believed_only_while_somebody_holds_the_folder(tmp_path):
    with status.held(tmp_path):
        status.begin(tmp_path, name="a")
        assert status.read(tmp_path)["state"] == "running"
    assert status.read(tmp_path)["state"] == "interrupted"
    status.write(tmp_path, state="done")
    assert status.read(tmp_path)["state"] == "done" and status.read(tmp_path)["name"] == "a"


def test_a_run_that_ends_between_two_looks_is_never_called_interrupted(tmp_path, monkeypatch):
    """A reader sees `running`; the run ends; the reader finds nobody at work."""
    with status.held(tmp_path):
        status.begin(tmp_path, name="a")
    look = status.held_by_somebody

    def ends_first(folder):
        status.write(folder, state="done")
        return look(folder)

    monkeypatch.setattr(status, "held_by_somebody", ends_first)
    assert status.read(tmp_path)["state"] == "done"


def test_a_killed_process_lets_go(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from hardneg.runs import status; folder = Path(sys.argv[1])\n"
        "with status.held(folder): status.begin(folder, name='a'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    assert json.loads((tmp_path / status.FILE).read_text())["state"] == "running"
    assert status.read(tmp_path)["state"] == "interrupted"


def test_two_do_not_work_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    with status.held(tmp_path):
        status.write(tmp_path, state="running", pid=7, host="elsewhere")
        with pytest.raises(UserError, match="process 7 on elsewhere"), status.held(tmp_path):
            pass
    with status.held(tmp_path):
        pass


def test_no_status_is_none_and_writing_makes_the_folder(tmp_path):
    assert status.read(tmp_path / "new") is None
    status.write(tmp_path / "new", state="waiting", name="a")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [status.FILE]


def test_what_failed_in_training_begins_anew_and_what_failed_after_it_does_not():
    assert status.begins_anew({"state": "failed", "step": 4, "steps": 9}) and status.begins_anew({"state": "failed"})
    assert not status.begins_anew({"state": "failed", "step": 9, "steps": 9})
    assert not status.begins_anew({"state": "interrupted", "step": 4, "steps": 9})


def test_the_folder_of_a_refused_run_goes_and_one_with_anything_in_it_stays(tmp_path):
    for name in ("refused", "worked"):
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        for inner in ("status.json", ".lock", "train.log"):
            (folder / inner).touch()
    (tmp_path / "worked" / "metrics.csv").touch()
    status.remove_empty(tmp_path / "refused")
    status.remove_empty(tmp_path / "worked")
    assert [path.name for path in tmp_path.iterdir()] == ["worked"]


def test_what_a_killed_attempt_was_writing_goes_when_the_next_one_begins(tmp_path):
    drafts = [tmp_path / ".status.json.0123abcd.draft", tmp_path / ".hydra" / ".config.yaml.0123abcd.draft"]
    another = tmp_path / ".summary.json.0123abcd.draft"  # by somebody who is at work
    (tmp_path / ".hydra").mkdir()
    for draft in (*drafts, another):
        draft.touch()
    for draft in drafts:
        os.utime(draft, (0, 0))
    status.begin(tmp_path)
    assert not any(draft.exists() for draft in drafts) and another.exists()
