"""Optimizers, groups of weights and schedules in whole runs, interrupted ones too."""

from __future__ import annotations

import pytest
from run_folders import column, end_state, last, same

COMMON = ["logger=csv", "trainer.max_epochs=2", "checkpoint.every_n_steps=3", "evaluate.every_n_steps=4"]
COMMON += ["evaluate.bm25=null", "trainer.accumulate_grad_batches=2"]
CASES = {
    "plateau": ["schedule=plateau", "schedule.patience=0", "schedule.threshold=0.9", "schedule.warmup=0.3"],
    "lion": ["optimizer=lion", "schedule=wsd", "optimizer.groups={embeddings: {lr: 0.005}}"],
    "torch": ["optimizer=adafactor", "schedule=any", "schedule.scheduler._target_=torch.optim.lr_scheduler.StepLR"],
}
CASES["torch"] += ["+schedule.scheduler.step_size=1", "schedule.interval=epoch", "+schedule.scheduler.gamma=0.5"]


@pytest.mark.parametrize("case", CASES)
def test_an_interruption_changes_nothing(hardneg, hardneg_process, small, tmp_path, case):
    if case == "lion":
        pytest.importorskip("pytorch_optimizer")
    arguments = [*small, *COMMON, *CASES[case]]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 5, signal_name: SIGKILL}"
    hardneg_process("train", *arguments, stop, "hydra.run.dir=cut", code=-9)
    hardneg("resume", "cut")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert same(end_state(whole), end_state(cut)) is None
    rates = dict(column(whole, "train/lr"))
    assert rates == dict(column(cut, "train/lr")) and len(rates) == 12  # 11 batches an epoch, two a step
    if case == "plateau":  # three steps of warm-up; no evaluation rises by 0.9 but the first, which sets the best
        wanted = [0.01 / 3, 0.02 / 3, *[0.01] * 6, *[0.005] * 4]
        assert [rates[step] for step in sorted(rates)] == pytest.approx(wanted, rel=1e-5)
    if case == "lion":
        assert dict(column(whole, "train/lr/embeddings")) == rates and max(rates.values()) == pytest.approx(0.005)
    if case == "torch":
        assert [rates[step] for step in sorted(rates)] == pytest.approx([0.01] * 6 + [0.005] * 6)


def test_groups_that_match_nothing_end_a_run_before_anything_is_mined(hardneg, small):
    words = ["strategy=bm25", "optimizer.groups={middle: {match: '*.layer.3.*', lr: 0.1}}", "logger=csv"]
    said = hardneg("train", *small, *words, code=2).stderr
    assert "optimizer.groups.middle (*.layer.3.*) matches no trained weight" in said
    assert "towers.towers.query.embedding.weight" in said and "bm25:" not in said


def test_a_checkpoint_keeps_the_groups(hardneg, small, tmp_path):
    hardneg("train", *small, *COMMON, "optimizer.groups={embeddings: {lr: 0.005}}", "hydra.run.dir=one")
    saved = last(tmp_path / "one")
    assert [group["name"] for group in saved["optimizer_states"][0]["param_groups"]] == ["embeddings"]
