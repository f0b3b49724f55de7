"""A search: trials are jobs of a sweep, what is told stays told, and a bad trial ends early."""

from __future__ import annotations

import json

import pytest

from hardneg.runs import status
from hardneg.runs.study import open_study
from hardneg.training.callbacks import prune

optuna = pytest.importorskip("optuna")
SPACE = ["hydra/sweeper=optuna", "optimizer.lr=tag(log, interval(0.001, 0.1))", "hydra.sweep.dir=found"]
FAST = ["trainer.max_epochs=1", "logger=csv", "evaluate.before=false", "evaluate.bm25=null"]
FACTS = {"pruner": "median", "sampler": "tpe", "seed": 1, "warmup_evaluations": 2, "storage": None, "study": None}


def jobs(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/status.json"))]


def test_trials_are_jobs_and_the_same_command_goes_on(hardneg, small, tmp_path):
    words = ["-m", *(word for word in small if not word.startswith("optimizer.lr")), *SPACE, *FAST]
    assert "best of 2 trials: number" in hardneg("train", *words, "hydra.sweeper.n_trials=2").stderr
    first = jobs(tmp_path / "found")
    assert [job["state"] for job in first] == ["done"] * 2
    best = max(first, key=lambda job: job["result"])
    written = (tmp_path / "found" / "best.yaml").read_text()
    assert f"trial: {best['search']['trial']}" in written and "optimizer.lr=" in written
    # One that was killed is still open in the study: it is asked again, with its values.
    space = {"optimizer.lr": optuna.distributions.FloatDistribution(0.001, 0.1, log=True)}
    left = open_study(FACTS, tmp_path / "found").ask(space)
    assert "best of 3 trials" in hardneg("train", *words, "hydra.sweeper.n_trials=3").stderr
    again = jobs(tmp_path / "found")
    assert len(again) == 3 and all(job in again for job in first), "what is told is not run again"
    assert [f"optimizer.lr={left.params['optimizer.lr']}" in job["overrides"] for job in again].count(True) == 1


def test_a_trial_that_was_stopped_is_resumed_as_a_run_of_its_own_and_a_search_is_not(hardneg, small, tmp_path):
    words = ["hparams_search=static", "hydra.sweeper.n_trials=1", "hydra.sweep.dir=found", *FAST]
    hardneg("train", "-m", *(word for word in small if not word.startswith(("optimizer.lr", "batch_size"))), *words)
    (trial,) = (path.parent for path in (tmp_path / "found").glob("*/status.json"))
    told = (trial / "summary.json").read_text()
    (trial / "summary.json").unlink()  # as after a kill before the end
    hardneg("resume", str(trial))
    assert json.loads((trial / "summary.json").read_text())["test"] == json.loads(told)["test"]
    assert "add -m" in hardneg("train", *small, *words[::3], "hydra.run.dir=alone", code=2).stderr
    refused = hardneg("resume", "found", code=2).stderr
    assert "which is done; its best trial is in found/best.yaml" in refused


def test_a_bad_trial_ends_early_without_a_test(hardneg, small, tmp_path, monkeypatch):
    told = []

    class Bad:
        def report(self, value, step):
            told.append((step, value))

        def should_prune(self):
            return len(told) == 2

    monkeypatch.setattr("hardneg.training.fit.trial_of", lambda folder: Bad())
    hardneg("train", *small, *FAST, "trainer.max_epochs=5", "evaluate.every_n_steps=4", "hydra.run.dir=run")
    assert [step for step, _ in told] == [1, 2]
    found = status.read(tmp_path / "run")
    assert found["state"] == "pruned" and found["step"] == 8 and found["result"] == max(value for _, value in told)
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_trial_is_found_in_its_study_and_other_runs_are_none(tmp_path):
    assert prune.trial_of(tmp_path) is None
    trial = open_study(FACTS, tmp_path).ask()
    status.write(tmp_path / "job", search={**FACTS, "trial": trial.number}, state="waiting")
    found = prune.trial_of(tmp_path / "job")
    found.report(0.5, 1)
    assert found.number == trial.number and not found.should_prune()
