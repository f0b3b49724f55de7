"""hardneg merge: what it writes is taken wherever a checkpoint is, also between the stages of a recipe."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def runs(hardneg, small):
    for seed in (1, 2):
        common = ["trainer.max_epochs=1", "logger=csv", "evaluate.before=false"]
        hardneg("train", *small, *common, f"seed={seed}", f"hydra.run.dir=runs/{seed}")


def state(path):
    return torch.load(path, weights_only=True)


def test_a_sweeps_soup_is_evaluated_and_trained_on(hardneg, small, runs, tmp_path):
    said = hardneg("merge", "runs", "--to", "soup.ckpt").stdout
    assert "2 encoders as one checkpoint: soup.ckpt" in said
    soup = state("soup.ckpt")
    both = [state(f"runs/{seed}/checkpoints/best.ckpt")["state_dict"] for seed in (1, 2)]
    for name, value in soup["state_dict"].items():
        torch.testing.assert_close(value, (both[0][name] + both[1][name]) / 2)
    assert soup["hardneg"]["merged"]["method"] == "average"
    assert [one["share"] for one in soup["hardneg"]["merged"]["of"]] == [0.5, 0.5]
    hardneg("evaluate", "data=toy", "ckpt_path=soup.ckpt", "hydra.run.dir=tested")
    assert json.loads((tmp_path / "tested/summary.json").read_text())["test"]["checkpoint"]["ndcg@10"] > 0
    hardneg("train", *small, "init_from=soup.ckpt", "trainer.max_steps=1", "logger=csv", "evaluate.before=false")
    assert "soup.ckpt exists" in hardneg("merge", "runs", "--to", "soup.ckpt", code=2).stderr
    hardneg("export", "soup.ckpt", "exported")
    hardneg("merge", "exported", "runs/1", "--slerp", "0", "--to", "back.ckpt")
    torch.testing.assert_close(state("back.ckpt")["state_dict"], soup["state_dict"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs/1"], "runs/1 names one encoder"),
        (["runs/1", "runs/2", "--weights", "1"], "gives 1 numbers for 2 models"),
        (["runs/1", "runs/2", "--weights", "0", "0"], "not all 0"),
        (["runs/1", "runs/2", "--slerp", "2"], "between 0"),
        (["runs", "runs/1", "--slerp", "0.5"], "there are 3"),
        (["runs/1", "gone"], "gone is neither a checkpoint nor a run folder"),
    ],
)
def test_what_cannot_be_merged_is_told_before_models_are_read(hardneg, environment, tmp_path, words, says):
    for seed in (1, 2):
        (tmp_path / f"runs/{seed}/checkpoints").mkdir(parents=True)
        (tmp_path / f"runs/{seed}/checkpoints/best.ckpt").touch()
    assert says in hardneg("merge", *words, "--to", "x.ckpt", code=2).stderr
    unwritable = hardneg("merge", "runs/1", "runs/2", "--to", "runs/1/checkpoints/best.ckpt/soup.ckpt", code=2).stderr
    assert "--to=runs/1/checkpoints/best.ckpt: cannot write" in unwritable


def test_stages_merge_what_earlier_ones_trained(hardneg, tmp_path):
    folder = tmp_path / "conf/experiment/soup"
    folder.mkdir(parents=True)
    (folder / "stages.yaml").write_text("1_first: train\n2_second: train\n3_merged: merge\n4_last: train\n")
    for name, more in (("1_first", "seed: 1"), ("2_second", "seed: 2"), ("4_last", "init_from: ${stages}/3_merged")):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\n{more}\n")
    (folder / "3_merged.yaml").write_text("{of: [1_first, 2_second], weights: [1, 3]}\n")
    small = ["data=toy", "encoder.dim=16", "logger=csv", "evaluate.before=false", "+trainer.limit_train_batches=2"]
    words = ["stages", "soup", "--config-dir", str(tmp_path / "conf"), *small, "trainer.max_epochs=1"]
    said = hardneg(*words, "hydra.run.dir=made")
    assert "all stages are done" in said.stderr
    one, two = (state(f"made/{name}/checkpoints/best.ckpt")["state_dict"] for name in ("1_first", "2_second"))
    for name, value in state("made/3_merged/checkpoints/best.ckpt")["state_dict"].items():
        torch.testing.assert_close(value, 0.25 * one[name] + 0.75 * two[name])
    assert "stage 3_merged (3 of 4) is done" in hardneg("resume", "made").stderr

    (folder / "3_merged.yaml").write_text("{of: [4_last]}\n")
    assert "4_last is not an earlier stage" in hardneg(*words, "hydra.run.dir=other", code=2).stderr
