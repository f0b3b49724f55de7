"""Two runs that were started in one folder at the same time."""

from __future__ import annotations

import json

from hardneg.runs import folder as run_folder
from hardneg.runs import status


def test_the_second_of_two_runs_in_one_folder_leaves_the_results_of_the_first(hardneg, small, tmp_path, monkeypatch):
    """The first takes the folder while the second checks its config, and is done before that asks for the lock."""
    words = ["train", *small, "trainer.max_steps=1", "evaluate.before=false", "logger=csv"]
    hardneg(*words, "hydra.run.dir=first")
    first = {file: (tmp_path / "first" / file).read_text() for file in ("summary.json", ".hydra/overrides.yaml")}
    looked = run_folder.refuse_used

    def then_ends(folder, cfg, training, claimed=False):
        looked(folder, cfg, training, claimed)
        if not claimed:
            (tmp_path / "first").rename(tmp_path / "one")

    monkeypatch.setattr("hardneg.sweep.check_jobs.refuse_used", then_ends)
    said = hardneg(*words, "seed=2", "hydra.run.dir=one", code=2).stderr
    assert "one holds a training run already" in said and "it is complete" in said
    assert not status._claimed, "a process that goes on, as a notebook's, does not keep the folder"
    for file, text in first.items():
        assert (tmp_path / "one" / file).read_text() == text
    assert json.loads(first["summary.json"])["seed"] == 1


def test_a_claimed_folder_is_held_until_the_work_there_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    status.claim(tmp_path, lambda: None)
    status.claim(tmp_path, lambda: None)
    assert status.held_by_somebody(tmp_path)
    with status.held(tmp_path):
        assert status.held_by_somebody(tmp_path)
    assert not status.held_by_somebody(tmp_path)
