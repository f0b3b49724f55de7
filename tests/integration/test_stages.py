"""A recipe in stages that is killed within a stage and between two ends as one that was not."""

from __future__ import annotations

import pytest
from run_folders import end_state, same

from hardneg.stages import run_stages

FIRST = "# @package _global_\n# An epoch.\ndefaults: [override /negatives: [in_batch]]\ntrainer: {max_epochs: 1}\n"
SECOND = """# @package _global_
# From the first, on negatives that it mines.
defaults: [override /negatives: [in_batch, mined]]
init_from: "${stage:1_first}/checkpoints/best.ckpt"
negatives: {mined: {k: 2, depth: 20, miner: {ckpt_path: "${stage:1_first}/checkpoints/best.ckpt"}}}
trainer: {max_epochs: 1}
"""


@pytest.fixture
def two(tmp_path, monkeypatch, hardneg, small):
    """The words that run a recipe of the user's own; a stage has a process of its own only to be killed."""
    folder = tmp_path / "own" / "experiment" / "two"
    folder.mkdir(parents=True)
    (folder / "stages.yaml").write_text("1_first: train\n2_second: train\n")
    (folder / "1_first.yaml").write_text(FIRST)
    (folder / "2_second.yaml").write_text(SECOND)

    process = run_stages.launch

    def launch(words, lock):
        if any("SIGKILL" in word for word in words):
            return process(words, lock)
        try:
            hardneg(*words)
        except AssertionError as error:  # of the exit code, the first word after `exit`
            return int(str(error).split()[1]), None
        return 0, None

    monkeypatch.setattr(run_stages, "launch", launch)
    return ["stages", "two", "--config-dir", "own", *small, "logger=csv", "checkpoint.every_n_steps=4"]


STOP = "+callbacks.stop={{_target_: interrupts.Interrupt, step: {}, signal_name: {}}}"


def test_killed_in_a_stage_and_stopped_in_the_next_it_ends_with_the_same_weights(hardneg, two, tmp_path, monkeypatch):
    hardneg(*two, "hydra.run.dir=whole")
    stops = [f"1_first:{STOP.format(6, 'SIGKILL')}", f"2_second:{STOP.format(5, 'SIGTERM')}"]
    said = hardneg(*two, *stops, "hydra.run.dir=cut", code=2).stderr
    assert "stage 1_first was killed by SIGKILL" in said and not (tmp_path / "cut/2_second").exists()

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "stage 2_second ended with exit code 143" in hardneg("resume", "../cut", code=2).stderr
    shown = hardneg("resume", str(tmp_path / "cut")).stderr
    assert "stage 1_first (1 of 2) is done" in shown and "stage 2_second (2 of 2): hardneg resume" in shown
    for stage in ("1_first", "2_second"):
        assert same(end_state(tmp_path / "whole" / stage), end_state(tmp_path / "cut" / stage)) is None

    # Finished, and asked again: the same is nothing to do, and anything else is refused.
    monkeypatch.chdir(tmp_path)
    assert "all stages are done" in hardneg(*two, "hydra.run.dir=whole").stderr
    refused = hardneg(*two, "seed=2", "hydra.run.dir=whole", code=2).stderr
    assert "stage 1_first" in refused and "was started without seed=2; give the same overrides" in refused
    assert "is the folder of a run" in hardneg(*two, "hydra.run.dir=whole/1_first", code=2).stderr


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["2_second:loss.infonce.temperature=-1.0"], "stage 2_second: loss.infonce"),
        (["2_second:bach_size=3"], "stage 2_second: there is no key bach_size; did you mean batch_size?"),
        (["data=beir"], "stage 1_first: no value for data.path"),
        (
            ["1_first:init_from=${stage:2_second}/checkpoints/best.ckpt"],
            "2_second/checkpoints/best.ckpt: there is no such",
        ),
        (["split.dev=null"], "stage 2_second: init_from="),
    ],
)
def test_a_stage_that_cannot_run_is_told_before_the_first_one_does(hardneg, two, tmp_path, overrides, says):
    said = hardneg(*two, *overrides, "hydra.run.dir=run", code=2).stderr
    assert says in said and "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_later_stage_alone_says_what_it_needs(hardneg):
    said = hardneg("train", "experiment=rocketqa/3_denoised", code=2).stderr
    assert "this is a later stage of a recipe" in said and "hardneg stages" in said
    assert "rocketqa is a recipe in stages" in hardneg("train", "experiment=rocketqa", code=2).stderr


def test_help_lists_the_recipes_and_their_stages(hardneg):
    shown = hardneg("stages", "--help").stdout
    assert "simlm_kd        1_bm25, 2_mined, 3_teacher, 4_distilled" in shown
