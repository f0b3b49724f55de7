"""What a recipe's stages are asked to do, and that they run alone and stop when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from omegaconf import OmegaConf

from hardneg.commands import resume
from hardneg.errors import ConfigError
from hardneg.stages import run_stages
from hardneg.stages.check_stages import check_begun
from hardneg.stages.recipe import make_plan, read_list, recipes, with_kinds


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "conf" / "experiment" / "two"
    folder.mkdir(parents=True)
    (folder / "stages.yaml").write_text("1_first: train\n2_second: train-teacher\n")
    for name in ("1_first", "2_second"):
        (folder / f"{name}.yaml").write_text("# @package _global_\nseed: 3\n")
    return tmp_path / "conf"


def test_recipes_are_ours_and_the_users(own):
    assert {"rocketqa", "simlm_kd", "nv_embed"} <= recipes().keys() < recipes(own).keys()


def test_overrides_are_for_all_stages_or_for_one(own, tmp_path):
    plan = make_plan("two", ["seed=2", "2_second:batch_size=8", "data@data.sets.a=toy"], tmp_path / "run", own)
    first, second = plan.stages
    assert (first.command, second.command) == ("train", "train-teacher")
    assert first.folder == tmp_path / "run" / "1_first" and not first.begun
    common = [f"stages='{tmp_path}/run'", "seed=2"]
    assert list(first.overrides) == ["experiment=two/1_first", *common, "data@data.sets.a=toy"]
    assert list(second.overrides) == ["experiment=two/2_second", *common, "batch_size=8", "data@data.sets.a=toy"]
    words = run_stages.command_of(second, own)
    assert words[:3] == ["train-teacher", "--config-dir", str(own)] and words[-1].startswith("hydra.run.dir=")


def test_the_kind_of_data_is_guessed_as_in_a_training(own, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text("query,document\n")
    (tmp_path / "lines.jsonl").write_text("{}\n")
    plan_of = partial(make_plan, "two", folder=tmp_path / "run", config_dir=own)
    for stage in with_kinds(plan_of(["data.path=pairs.csv"])).stages:
        assert {"data=table", "data.path=pairs.csv"} < {*stage.overrides}
    assert capsys.readouterr().err.count("reading pairs.csv as data=table") == 1
    first, second = with_kinds(plan_of(["1_first:data.path=lines.jsonl", "2_second:data.path=pairs.csv"])).stages
    assert "data=jsonl" in first.overrides and "data=table" in second.overrides
    given = plan_of(["data=table", "data.path=lines.jsonl"])
    assert with_kinds(given) == given
    with pytest.raises(ConfigError, match=r"nothing\.csv: there is no such file or folder"):
        with_kinds(plan_of(["data.path=nothing.csv"]))


def test_a_stage_that_was_resumed_is_the_one_that_was_begun(own, tmp_path, monkeypatch):
    """hardneg resume adds words for settings whose default may have changed, which a stage's yaml sets as well."""
    monkeypatch.chdir(tmp_path)
    plan = make_plan("two", ["seed=2"], tmp_path / "run", own)
    first = plan.stages[0]
    noted = first.folder / ".hydra"
    noted.mkdir(parents=True)
    (first.folder / "checkpoints").mkdir()
    (first.folder / "checkpoints" / "last.ckpt").touch()
    OmegaConf.save(list(first.overrides), noted / "overrides.yaml")
    OmegaConf.save({"batch_size": 32, "encoder": {"lr": 2e-5}}, noted / "config.yaml")
    hydra = {"job": {"config_name": "train"}, "runtime": {"cwd": str(tmp_path), "config_sources": []}}
    OmegaConf.save({"hydra": hydra}, noted / "hydra.yaml")
    check_begun(plan, first)
    _, words = resume.command_of([str(first.folder)])
    OmegaConf.save([word for word in words if not word.startswith("hydra.")], noted / "overrides.yaml")
    assert "batch_size=32" in first.asked() and "encoder.lr=2e-05" in first.asked()
    check_begun(plan, first)
    other = make_plan("two", ["seed=2", "batch_size=8"], tmp_path / "run", own)
    with pytest.raises(ConfigError, match="was started with batch_size=32, without batch_size=8"):
        check_begun(other, other.stages[0])


@pytest.mark.parametrize(
    ("recipe", "overrides", "says"),
    [
        ("three", [], "there is no recipe 'three' in stages; there are ance"),
        ("two", ["3_third:seed=1"], "there is no stage 3_third; there are 1_first, 2_second"),
        ("two", ["experiment=dpr"], "hardneg stages gives experiment itself"),
        ("two", ["2_second:stages=x"], "hardneg stages gives stages itself"),
        ("two", ["hydra.sweep.dir=x"], "gives hydra.sweep.dir itself"),
        ("two", ["-m"], "no sweeps"),
    ],
)
def test_what_cannot_be_asked_is_told(own, tmp_path, recipe, overrides, says):
    with pytest.raises(ConfigError, match=says):
        make_plan(recipe, overrides, tmp_path, own)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must list stages"),
        ("[a, b]", "must list stages"),
        ("1_first: mine", "must be one of train, train-teacher"),
        ("9_last: train", "there is no experiment 9_last.yaml beside it"),
        ("a: b: c", "stages.yaml: "),
    ],
)
def test_a_list_that_is_none_is_told(own, text, says):
    path = own / "experiment/two/stages.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_list(path)


def test_two_do_not_work_in_one_folder_not_even_after_a_kill(tmp_path):
    with run_stages.alone(tmp_path) as lock:
        with pytest.raises(ConfigError, match="stages are at work here"), run_stages.alone(tmp_path):
            pass
        left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], pass_fds=[lock])
    with pytest.raises(ConfigError, match="stages are at work here"), run_stages.alone(tmp_path):
        pass  # the first is gone, its stage is not
    left.kill()
    left.wait()
    with run_stages.alone(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_stage_ends_in_its_own_way(tmp_path, monkeypatch, number):
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(100)"
    )
    start = subprocess.Popen
    monkeypatch.setattr(run_stages.subprocess, "Popen", lambda _, **more: start([sys.executable, "-c", code], **more))

    def send():
        while not ready.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=send).start()
    before = signal.getsignal(number)
    with run_stages.alone(tmp_path) as lock:
        assert run_stages.launch(["train"], lock) == (143, number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("how", "overrides", "says"),
    [
        ("{of: [1_first], weights: [1]}", ["3_merged:seed=1"], "3_merged merges earlier stages and takes no overrides"),
        ("{of: 1_first}", [], "must be as"),
        ("{of: [1_first, 4_last]}", [], "4_last is not an earlier stage"),
        ("{of: [1_first, 2_second], weights: [1]}", [], "gives 1 numbers for 2 models"),
        ("{of: [1_first, 2_second], slerp: 2}", [], "between 0"),
    ],
)
def test_a_stage_that_cannot_merge_is_told_before_any_runs(own, tmp_path, how, overrides, says):
    (own / "experiment/two/stages.yaml").write_text("1_first: train\n2_second: train\n3_merged: merge\n")
    (own / "experiment/two/3_merged.yaml").write_text(how)
    with pytest.raises(ConfigError, match=says):
        make_plan("two", overrides, tmp_path / "run", own)
