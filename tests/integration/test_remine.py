"""Mining while training: rounds, interruptions, workers, ranks; and hardneg mine on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from mined_runs import MINED, stores
from patience import patience
from run_folders import column, end_state, same

from hardneg.runs import status


@pytest.fixture
def whole(once, hardneg, small, separate, tmp_path):
    """The stores and the end state of the run that nothing interrupted."""

    def train():
        hardneg("train", *small, *MINED, *separate("whole"))
        return {"stores": stores(tmp_path / "whole"), "end": end_state(tmp_path / "whole")}

    return once("whole", train)


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("+callbacks.stop={_target_: interrupts.Interrupt, step: 15, signal_name: SIGKILL}", -9),
        ("+callbacks.stop={_target_: interrupts.Interrupt, step: 11, signal_name: SIGTERM}", 143),
        ("+callbacks.stop={_target_: interrupts.KillInMining}", -9),
    ],
    ids=["kill", "term_at_the_epochs_end", "kill_while_mining"],
)
def test_an_interrupted_run_mines_and_draws_what_it_would_have(
    hardneg, hardneg_process, small, separate, tmp_path, whole, stop, code
):
    hardneg_process("train", *small, *MINED, stop, *separate("cut"), code=code)
    hardneg("resume", "cut")
    assert whole["stores"] == stores(tmp_path / "cut")
    assert len(whole["stores"]["mined"]) == 3
    assert same(whole["end"], end_state(tmp_path / "cut")) is None
    assert not list((tmp_path / "cut-cache" / "work").iterdir()), "an orphan is left"


def test_ctrl_c_and_sigterm_end_a_round_at_once_and_keep_what_it_has(hardneg, small, separate, whole, tmp_path):
    for name, code in (("SIGINT", 130), ("SIGTERM", 143)):
        stop = f"+callbacks.stop={{_target_: interrupts.KillInMining, signal_name: {name}}}"
        said = hardneg("train", *small, *MINED, stop, *separate(name), code=code).stderr
        assert "stopped at once, after step 22; resume from the last checkpoint" in said
        assert status.read(tmp_path / name)["state"] == "interrupted"
        assert not (tmp_path / name / "interrupted_too_late").exists()
        assert len(list((tmp_path / f"{name}-cache" / "work").glob("*/filtered-*.npz"))) == 1
        hardneg("resume", name)
        assert whole["stores"] == stores(tmp_path / name)
        assert same(whole["end"], end_state(tmp_path / name)) is None


def test_a_run_killed_while_its_teacher_scores_ends_the_same(hardneg, hardneg_process, small, separate, tmp_path):
    """The second round is cut in its third block of pairs; what was relabelled comes back with the lists."""
    taught = [*small, *MINED, "loss=[infonce,kl,margin_mse]", "negatives.mined.teacher={_target_: interrupts.ByRow}"]
    taught += ["negatives.mined.relabel=25.0", "negatives.mined.sampling=stratified", "positives=2"]
    hardneg("train", *taught, *separate("whole"))
    kill = "+callbacks.stop={_target_: interrupts.KillInScoring}"
    hardneg_process("train", *taught, kill, *separate("cut"), code=-9)
    assert len(list((tmp_path / "cut-cache" / "work").glob("*/filtered-*.npz"))) == 2
    hardneg("resume", "cut")
    assert stores(tmp_path / "whole") == stores(tmp_path / "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None
    assert max(share for _, share in column(tmp_path / "whole", "mining/mined/relabelled")) > 0


def test_workers_draw_from_new_lists_at_once_also_within_an_epoch(hardneg, small, separate, tmp_path):
    steps = [*small, *MINED, "remine.every_n_epochs=null", "remine.every_n_steps=4", "trainer.max_epochs=2"]
    hardneg("train", *steps, *separate("alone"))
    hardneg("train", *steps, "num_workers=2", *separate("workers"))
    assert [step for step, _ in column(tmp_path / "alone", "mining/mined/round")] == [0, 4, 8, 12, 16, 20]
    assert same(end_state(tmp_path / "alone"), end_state(tmp_path / "workers")) is None


def test_no_round_is_mined_after_the_last_step_and_a_run_that_trains_on_makes_up_for_it(
    hardneg, small, separate, tmp_path
):
    """The steps of a round are up where max_steps end the run within an epoch."""
    often = [*small, *MINED, "remine.every_n_epochs=null", "remine.every_n_steps=5", "trainer.max_epochs=-1"]
    often += ["schedule=constant", "schedule.warmup=0.0", "evaluate.every_n_epochs=100"]
    hardneg("train", *often, "trainer.max_steps=18", *separate("whole"))
    hardneg("train", *often, "trainer.max_steps=15", *separate("first"))
    assert [step for step, _ in column(tmp_path / "first", "mining/mined/round")] == [0, 5, 10]
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    on = [f"cache={tmp_path}/first-cache", "hydra.run.dir=on", f"ckpt_path={last}"]
    hardneg("train", *often, "trainer.max_steps=18", *on)
    assert stores(tmp_path / "on") == stores(tmp_path / "whole")
    assert same(end_state(tmp_path / "on"), end_state(tmp_path / "whole")) is None


def test_a_round_that_is_due_at_an_epochs_end_is_mined_once_by_a_run_stopped_just_before(
    hardneg, small, separate, tmp_path
):
    both = [*small, *MINED, "remine.every_n_steps=11", "trainer.max_epochs=2"]
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 11, signal_name: SIGTERM}"
    hardneg("train", *both, stop, *separate("cut"), code=143)
    hardneg("resume", "cut")
    assert column(tmp_path / "cut", "mining/mined/round") == [(0, 1), (11, 2)]


def test_three_stages_random_then_mined_and_old_rounds_are_removed(hardneg, small, separate, tmp_path):
    hardneg(
        "train",
        *small,
        *MINED,
        "remine.warmup_epochs=1",
        "remine.keep_last=2",
        "trainer.max_epochs=5",
        *separate("run"),
    )
    run = tmp_path / "run"
    assert [step for step, _ in column(run, "mining/mined/round")] == [11, 22, 33, 44]
    counts = dict(column(run, "negatives/mined/count"))
    assert counts[min(counts)] == 0 and counts[max(counts)] > 3.5
    assert dict(column(run, "mining/mined/staleness"))[21] == 9
    kept = {path.name for path in (tmp_path / "run-cache" / "stores").iterdir() if path.is_dir()}
    assert kept == set(stores(run)["mined"]) and len(kept) == 2


def test_old_rounds_stay_as_long_as_a_checkpoint_names_them(hardneg, hardneg_process, small, separate, tmp_path):
    """Mined more often than saved: the lists of the last checkpoint are many rounds old."""
    often = [*small, *MINED, "remine.every_n_steps=2", "remine.keep_last=2", "checkpoint.every_n_steps=100"]
    often += ["trainer.max_epochs=2", "logger=csv"]
    hardneg("train", *often, *separate("whole"))
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 20, signal_name: SIGKILL}"
    hardneg_process("train", *often, stop, *separate("cut"), code=-9)
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None


def test_a_run_whose_lists_are_gone_is_not_resumed_on_others(hardneg, small, separate, tmp_path):
    import shutil

    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 15, signal_name: SIGTERM}"
    hardneg("train", *small, *MINED, stop, *separate("run"), code=143)
    shutil.rmtree(tmp_path / "run-cache" / "stores")
    assert "which is gone" in hardneg("resume", "run", code=2).stderr


def test_alarms_are_raised_logged_and_audited(hardneg, small, separate, tmp_path):
    strict = ["filter=[known_positives,relative_margin]", "filter.relative_margin.margin=0.9", "alarms.p=0.9999"]
    strict += ["optimizer.lr=3.0", "logger=[csv,wandb]"]
    said = hardneg("train", *small, *MINED, *strict, *separate("run")).stderr
    assert "ALARM mined: only" in said and "ALARM dev: dev" in said and "audit of the likeliest false negatives" in said
    assert column(tmp_path / "run", "alarms/mined/kept") and column(tmp_path / "run", "mining/mined/kept")
    assert list((tmp_path / "run").glob("audit_step_*.md"))


@pytest.mark.slow
def test_two_ranks_share_the_mining(hardneg, hardneg_process, small, separate, tmp_path):
    hardneg("train", *small, *MINED, "trainer.max_epochs=2", *separate("one"))
    two = ["batch_size=16", "trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    hardneg_process("train", *small, *MINED, "trainer.max_epochs=2", *two, *separate("two"))
    first, second = (stores(tmp_path / run)["mined"] for run in ("one", "two"))
    assert first[0] == second[0] and len(first) == len(second) == 2
    for array in ("ids", "scores", "reasons", "positive"):  # the same weights: the same bytes
        one, two = (np.load(tmp_path / f"{run}-cache" / "stores" / first[0] / f"{array}.npy") for run in ("one", "two"))
        np.testing.assert_array_equal(one, two)


def test_mine_reports_and_exports(hardneg, tmp_path):
    said = hardneg(
        "mine", "data=toy", "negatives=[bm25,mined]", "filter=[known_positives,duplicates,relative_margin]",
        "export.form=flag", "hydra.run.dir=out",
    )  # fmt: skip
    out = tmp_path / "out"
    assert {f"{name}.{kind}" for name in ("bm25", "mined") for kind in ("md", "png", "json", "jsonl")} <= set(
        os.listdir(out)
    )
    assert "dropped by relative_margin" in said.stdout
    assert said.stdout.count("│ kept ") == said.stdout.count("│ share kept ") == 2  # of two sources
    text = (out / "mined.md").read_text()
    assert text.count("| kept |") == text.count("| share kept |") == 1
    assert "| recall |" in text and "## Kept, but maybe relevant" in text
    first = json.loads((out / "mined.jsonl").read_text().splitlines()[0])
    assert first.keys() == {"query", "pos", "neg"}


def test_mine_takes_a_checkpoint(hardneg, small, tmp_path):
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    best = "ckpt_path=run/checkpoints/best.ckpt"
    hardneg("mine", "data=toy", best, "hydra.run.dir=with")
    hardneg("mine", "data=toy", "encoder.dim=32", "hydra.run.dir=without")
    with_, without = (json.loads((tmp_path / run / "mined.json").read_text()) for run in ("with", "without"))
    assert with_["store"] != without["store"]
    hardneg(
        "train", *small, *MINED, f"negatives.mined.miner.{best}", "trainer.max_epochs=1", "hydra.run.dir=again"
    )  # fmt: skip
    assert not [line for line in (tmp_path / "again" / "train.log").read_text().splitlines() if "round" in line]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("negatives=[in_batch]", "nothing is mined for these"),
        ("export.form=csv", "must be one of triplet"),
        ("export.path=x.csv", "must end in .jsonl or .parquet"),
        ("documents=all", "no key documents"),
        ("negatives.mined.miner.ckpt_path=nonsense.ckpt", "is not a checkpoint"),
    ],
)
def test_mine_refuses_what_cannot_work(hardneg, tmp_path, argument, says):
    (tmp_path / "nonsense.ckpt").write_text("nonsense")
    assert says in hardneg("mine", "data=toy", argument, code=2).stderr


@pytest.mark.slow
def test_mine_under_torchrun_writes_the_same_store(hardneg, tmp_path):
    arguments = ["mine", "data=toy", "seed=3"]
    hardneg(*arguments, f"cache={tmp_path}/one", "hydra.run.dir=one-run")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "hardneg.cli"]
    done = subprocess.run(
        [*command, *arguments, f"cache={tmp_path}/two", "hydra.run.dir=two-run"],
        capture_output=True, text=True, timeout=patience(120),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (one,), (two,) = (list((tmp_path / name / "stores").glob("*/card.json")) for name in ("one", "two"))
    assert one.parent.name == two.parent.name
    for array in ("ids", "scores", "reasons", "positive"):
        assert (one.parent / f"{array}.npy").read_bytes() == (two.parent / f"{array}.npy").read_bytes()


def test_probe_on_a_generated_set(hardneg, tmp_path):
    arguments = ["data=toy", "data.false_negative_rate=0.4", "negatives=[bm25,mined]", "negatives.bm25.pool=10"]
    filters = "filter=[known_positives,relative_margin,rank_window,in_batch_margin]"
    said = hardneg("probe", *arguments, filters, "hydra.run.dir=out").stdout
    assert "hidden positives that leak" in said
    found = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert found["bm25"].keys() == {"known_positives", "relative_margin", "rank_window", "all"}
    assert found["bm25"]["all"]["leaked"]["value"] < found["bm25"]["known_positives"]["leaked"]["value"]
    assert "| relative_margin |" in (tmp_path / "out" / "probe.md").read_text()
    assert not (tmp_path / "out" / "work").exists()


def test_probe_needs_something_to_hide(hardneg, tmp_path):
    (tmp_path / "pairs.jsonl").write_text("".join(f'{{"query": "q{i}", "positive": "d{i}"}}\n' for i in range(30)))
    said = hardneg("probe", "data=jsonl", "data.path=pairs.jsonl", "negatives=[bm25]", code=2).stderr
    assert "has two positives" in said
    assert "must lie between 0 and 1" in hardneg("probe", "data=toy", "share=1.5", code=2).stderr


def test_a_moving_average_mines(hardneg, small, separate, tmp_path):
    average = ["negatives.mined.miner.weights=average", "trainer.max_epochs=2"]
    assert "add callbacks=[ema]" in hardneg("train", *small, *MINED, *average, *separate("no"), code=2).stderr
    hardneg("train", *small, *MINED, *average, "callbacks=[ema]", "callbacks.ema.decay=0.5", *separate("run"))
    hardneg(
        "train", *small, *MINED, "trainer.max_epochs=2", "callbacks=[ema]", "callbacks.ema.decay=0.5", *separate("now")
    )
    one, two = (stores(tmp_path / run)["mined"] for run in ("run", "now"))
    assert one[0] == two[0] and one[1] != two[1], "the first round's average is the model itself"
