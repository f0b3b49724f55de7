"""What drives hardneg from outside: other launchers, SLURM, and the agents of a W&B sweep."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from confs import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import RunMode

from hardneg.config import composition
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.sweep.check_jobs import check_job
from hardneg.sweep.jobs import compose

ROOT = Path(__file__).parents[2]


def job(*words):
    """Compose a sweep and its only job; return that and the launcher's config."""
    composition.register_resolvers()
    Plugins.instance()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        sweep = GlobalHydra.instance().hydra.compose_config(
            "train", ["hydra.mode=MULTIRUN", *words], RunMode.MULTIRUN, with_log_configuration=False
        )
        return compose(sweep, list(sweep.hydra.overrides.task), 0), sweep.hydra.launcher


def test_a_job_of_several_nodes_composes_for_slurm_if_the_ranks_agree():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    slurm = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=4"]
    wanted = ["data=toy", "trainer.devices=4", "trainer.num_nodes=2", "trainer.accelerator=gpu"]
    one, launcher = job(*slurm, *wanted, "hydra.launcher.tasks_per_node=4", "hydra.launcher.nodes=2")
    check_job(one.cfg, launcher)
    assert (launcher.partition, one.cfg.trainer.num_nodes) == ("gpu", 2)
    one, launcher = job(*slurm, *wanted)
    with pytest.raises(ConfigError, match=r"tasks_per_node=4 hydra\.launcher\.nodes=2"):
        check_job(one.cfg, launcher)


@pytest.mark.parametrize(
    ("launcher", "refused"),
    [("basic", True), ("processes", False), ("joblib", True), ("submitit_local", True)],
)
def test_only_a_process_of_its_own_may_start_ranks(launcher, refused):
    if launcher not in ("basic", "processes"):
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    one, node = job(f"hydra/launcher={launcher}", "data=toy", "trainer.devices=2")
    if refused:
        with pytest.raises(ConfigError, match="hydra/launcher=processes"):
            check_job(one.cfg, node)
    else:
        check_job(one.cfg, node)


def test_a_job_is_found_by_its_config_and_not_by_its_number():
    first, _ = job("data=toy", "strategy=bm25", "hydra.sweep.dir=there")
    again, _ = job("strategy=bm25", "data=toy", "logger=csv", "num_workers=2", "hydra.sweep.dir=there")
    other, _ = job("data=toy", "strategy=bm25", "optimizer.lr=0.5", "hydra.sweep.dir=there")
    assert first.folder == again.folder != other.folder
    assert first.folder.name.startswith("toy-in_batch+bm25-infonce-s1_")


def test_the_launcher_is_known_without_what_is_slow_to_import():
    code = "import sys, hydra_plugins.hardneg; print(sorted({'torch', 'lightning', 'hardneg'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_sweep_of_wandb_drives_the_command_line(monkeypatch):
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    given = yaml.safe_load((ROOT / "experiments" / "sweep.yaml").read_text())
    chance = random.Random(0)
    args = {}
    for name, parameter in given["parameters"].items():
        args[name] = {"value": chance.choice(parameter.get("values") or [parameter.get("min"), parameter.get("max")])}
    words = []
    for chunk in given["command"]:
        words += (
            create_sweep_command_args({"args": args})["args_no_hyphens"] if chunk == "${args_no_hyphens}" else [chunk]
        )
    assert words[:3] == ["${env}", "${program}", "train"] and given["program"] == "hardneg"
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    composition.register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = GlobalHydra.instance().hydra.compose_config("train", words[3:], RunMode.RUN, with_log_configuration=False)
        assert cfg.hydra.run.dir == "outputs/wandb_abc123"
        check_config(composition.compose("train", words[3:]))
    metric, kind = given["metric"]["name"].rsplit(".", 1)
    assert metric in [f"val/{name}" for name in cfg.evaluate.metrics] and kind == "max"
