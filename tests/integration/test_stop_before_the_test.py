"""A signal that comes in the evaluation after the last step: the test is left to a resumed run."""

from __future__ import annotations

import json

import pytest

from hardneg.runs import status


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_after_the_last_step_comes_before_the_test(hardneg, small, tmp_path, name, code):
    words = ["train", *small, "trainer.max_epochs=1", "logger=csv"]
    stop = f"+callbacks.stop={{_target_: interrupts.InLastEvaluation, signal_name: {name}}}"
    said = hardneg(*words, stop, f"hydra.run.dir={name}", code=code).stderr
    assert f"before the test; resume with: hardneg resume {tmp_path / name}" in said
    assert status.read(tmp_path / name)["state"] == "interrupted"
    assert not (tmp_path / name / "summary.json").exists()
    hardneg("resume", name)
    hardneg(*words, "hydra.run.dir=whole")
    one, other = (json.loads((tmp_path / f / "summary.json").read_text()) for f in (name, "whole"))
    assert one["test"] == other["test"] and one["dev"] == other["dev"]
    assert one["throughput"]["queries"] == other["throughput"]["queries"] and one["throughput"]["train_seconds"] > 0


def test_ctrl_c_in_the_test_says_how_to_go_on(hardneg, small, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as within:
        within.setattr("hardneg.training.final_test._tested", stopped)
        said = hardneg("train", *small, "trainer.max_steps=1", "logger=csv", "hydra.run.dir=run", code=130).stderr
    assert f"interrupted; resume with: hardneg resume {tmp_path / 'run'}\n" in said
    hardneg("resume", "run")
    assert (tmp_path / "run" / "summary.json").exists()
