"""A race: runs pause and go on as if they had not, the losing ones stop, and the end is a decision."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from run_folders import last

from hardneg.runs import rungs, status
from hardneg.training.callbacks.evaluation import Evaluate

WHOLE = [
    "trainer.max_steps=16",
    "trainer.max_epochs=-1",
    "evaluate.every_n_steps=4",
    "logger=csv",
    "evaluate.bm25=null",
]


@pytest.mark.parametrize("until", [8, 11])  # within an epoch, and at the end of one of 11 steps
def test_a_run_that_paused_ends_as_one_that_did_not(hardneg, small, tmp_path, until):
    every = f"evaluate.every_n_steps={until}"
    words = [*small, *WHOLE, every, "split.test=null"]
    status.write(tmp_path / "whole", state="waiting", race={})
    hardneg("train", *words, "hydra.run.dir=whole")
    status.write(tmp_path / "parted", state="waiting", race={"until": until})
    hardneg("train", *words, "hydra.run.dir=parted")
    paused = status.read(tmp_path / "parted")
    assert (paused["state"], paused["step"]) == ("paused", until)
    assert rungs.best_until(tmp_path / "parted", 16).step == until
    again = ["resume", "parted"]
    hardneg(*again)  # asked once more for the same rung, it does not train on
    assert status.read(tmp_path / "parted")["step"] == until
    status.write(tmp_path / "parted", race={})
    hardneg(*again)
    whole, parted = (last(tmp_path / name) for name in ("whole", "parted"))
    assert parted["global_step"] == whole["global_step"] == 16
    assert all(torch.equal(value, parted["state_dict"][name]) for name, value in whole["state_dict"].items())
    for step in (until, 16):
        one, other = (rungs.best_until(tmp_path / name, step) for name in ("whole", "parted"))
        assert one.step == other.step and np.array_equal(one.values, other.values)
        assert one.mean == pytest.approx(one.values.mean())


def test_the_time_of_a_step_is_taken_and_nothing_is_left_that_could_go_on(hardneg, small, tmp_path):
    status.write(tmp_path / "run", state="waiting", race={"seconds": 0.05})
    hardneg("train", *small, *WHOLE, "split.test=null", "hydra.run.dir=run", "trainer.max_steps=100000")
    found = status.read(tmp_path / "run")
    assert found["state"] == "paused" and found["step"] >= 5
    timing = found["timing"]
    assert timing.keys() == {"step", "evaluation", "start", "choice", "over_all"}
    assert min(timing["step"], timing["evaluation"], timing["start"]) > 0
    assert timing["choice"] == timing["over_all"] == 0, "there is no subset"


@pytest.mark.parametrize("over_all", [True, False])
def test_all_documents_beside_a_subset_are_ranked_where_asked(hardneg, small, tmp_path, monkeypatch, over_all):
    ranked = Evaluate._dev_run

    def slow_over_all(self, ranker, all_documents=False):
        if all_documents:
            time.sleep(1.0)
        return ranked(self, ranker, all_documents)

    monkeypatch.setattr(Evaluate, "_dev_run", slow_over_all)
    status.write(tmp_path / "run", state="waiting", race={"seconds": 0.05, "over_all": over_all})
    words = [*small, *WHOLE, "evaluate.documents=subset", "evaluate.compare_with_all=false", "trainer.max_steps=100000"]
    hardneg("train", *words, "hydra.run.dir=run")
    timing = status.read(tmp_path / "run")["timing"]
    assert timing["choice"] > 0 and timing["evaluation"] < 1.0
    assert timing["over_all"] >= 1.0 if over_all else timing["over_all"] == 0.0
