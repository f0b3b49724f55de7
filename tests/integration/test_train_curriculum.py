"""A curriculum while training: what is drawn when, mining on demand, interruptions, workers and ranks."""

from __future__ import annotations

import pytest
import torch
from every import some
from mined_runs import stores
from run_folders import column, end_state, last, same

EASY = ["strategy=easy_to_hard", "negatives.mined.depth=20", "logger=csv", "checkpoint.every_n_steps=4"]
EASY += ["evaluate.before=false", "filter=[known_positives]"]
# Harder as soon as the loss of what is in use falls: at some step within an epoch.
SELF_PACED = [*EASY, "curriculum=self_paced", "curriculum.pace.every_n_steps=3", "curriculum.pace.below=2.0"]
# Decided by what is measured at the end of an epoch only, which a resumed run does not measure again.
ON_DEV = [*EASY, "curriculum=self_paced", "curriculum.pace.metrics=[val/ndcg@10]", "curriculum.pace.every_n_steps=3"]
ON_DEV += ["curriculum.pace.below=null", "curriculum.pace.above=0.01"]
MOVING = [*EASY, "curriculum=custom", "curriculum.shape=linear", "negatives=[in_batch,mined,random,queue]"]
MOVING += ["+curriculum.share={mined:[0.2,0.8],random:[0.8,0.2]}", "curriculum.slots=5", "curriculum/pace=time"]
MOVING += ["+curriculum.window={mined:[[5,15],[0,10]]}", "+curriculum.temperature={infonce:[0.2,0.05]}"]
KILL = "+callbacks.stop={_target_: interrupts.Interrupt, step: 15, signal_name: SIGKILL}"


def test_random_then_bm25_then_mined_when_it_is_due(hardneg, small, separate, tmp_path):
    hardneg("train", *small, *EASY, *separate("run"))
    counts = {name: dict(column(tmp_path / "run", f"negatives/{name}/count")) for name in ("random", "bm25", "mined")}
    for stage, name in enumerate(counts):
        used = [step for step, count in counts[name].items() if count > 0]
        assert used == list(range(11 * stage + 1, 11 * stage + 12))
    assert [step for step, _ in column(tmp_path / "run", "mining/mined/round")] == [22]
    assert dict(column(tmp_path / "run", "curriculum/progress"))[23] == pytest.approx(2 / 3)


def test_an_online_source_goes_off_and_a_temperature_falls(hardneg, small, separate, tmp_path):
    two = ["negatives=[in_batch,random]", "curriculum=two_stage", "curriculum.at=[0.25]", "logger=csv"]
    two += ["+curriculum.temperature={infonce:[0.1,0.02]}", "loss.infonce.symmetric=true"]
    hardneg("train", *small, *two, "trainer.max_epochs=2", *separate("run"))
    in_batch = [count > 0 for _, count in column(tmp_path / "run", "negatives/in_batch/count")]
    assert in_batch == [True] * 6 + [False] * 16  # 22 batches; 0.25 of them are 5.5
    loss = last(tmp_path / "run")["state_dict"]
    assert loss["losses.infonce.log_temperature"].exp().item() == pytest.approx(0.02)


MOVES = {"moving": MOVING, "self_paced": SELF_PACED, "on_dev": ON_DEV}


@pytest.mark.parametrize("moves", [MOVES[name] for name in some(list(MOVES))])
def test_a_killed_run_goes_on_at_its_place_in_the_curriculum(
    hardneg, hardneg_process, small, separate, tmp_path, moves
):
    hardneg("train", *small, *moves, *separate("whole"))
    hardneg_process("train", *small, *moves, KILL, *separate("cut"), code=-9)
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None
    whole, cut = (column(tmp_path / run, "curriculum/progress") for run in ("whole", "cut"))
    assert whole == cut
    progress = [value for _, value in whole]
    assert progress == sorted(progress) and len(set(progress)) > 2


def test_workers_follow_a_measured_pace_at_once(hardneg, small, separate, tmp_path):
    hardneg("train", *small, *SELF_PACED, *separate("alone"))
    hardneg("train", *small, *SELF_PACED, "num_workers=2", *separate("workers"))
    assert same(end_state(tmp_path / "alone"), end_state(tmp_path / "workers")) is None


@pytest.mark.slow
@pytest.mark.parametrize("moves", some([SELF_PACED, MOVING]))
def test_two_ranks_go_through_it_as_one(hardneg, hardneg_process, small, separate, tmp_path, moves):
    common = [*small, *moves, "trainer.max_epochs=2", "trainer.precision=32-true"]
    hardneg("train", *common, *separate("one"))
    two = ["batch_size=16", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    hardneg_process("train", *common, *two, *separate("two"))
    for key in ("curriculum/progress", "negatives/random/count"):
        assert dict(column(tmp_path / "one", key)) == pytest.approx(dict(column(tmp_path / "two", key)), abs=0.5)
    assert len(stores(tmp_path / "one")["mined"]) == len(stores(tmp_path / "two")["mined"])
    one, two = (end_state(tmp_path / run)["state_dict"] for run in ("one", "two"))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
