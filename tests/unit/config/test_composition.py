"""`${hydra:...}` in a user's config resolves wherever a config is looked at: in a check, a sweep, a run folder."""

from __future__ import annotations

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from hardneg.config import composition
from hardneg.runs.saved_config import read_config
from hardneg.sweep import jobs

NAME = "++data.name=${hydra:runtime.output_dir}"


def test_in_a_config_that_is_composed_on_its_own(tmp_path):
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        cfg = composition.compose("train", ["data=beir", "data.path=x", NAME, f"hydra.run.dir={tmp_path}/run"])
        assert cfg.data.name == f"{tmp_path}/run"


def test_in_the_check_of_a_job_of_a_sweep(tmp_path):
    composition.register_resolvers()
    before, seen = HydraConfig.instance().cfg, []
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        place, task = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=j${seed}"], ["data=beir", "data.path=x", NAME]
        sweep = GlobalHydra.instance().hydra.compose_config("train", [*place, *task], RunMode.MULTIRUN)
        job = jobs.compose(sweep, [*task, "seed=7"], 0, lambda cfg: seen.append(cfg.data.name))
    assert seen == [f"{tmp_path}/j7"] and str(job.folder) == seen[0]
    assert OmegaConf.to_container(job.cfg.data, resolve=False)["name"] == "${hydra:runtime.output_dir}"
    assert HydraConfig.instance().cfg is before


def test_in_the_config_of_a_run_folder(tmp_path):
    (tmp_path / ".hydra").mkdir()
    cfg = {"data": {"name": "${hydra:job.name} in ${hydra:runtime.output_dir}", "path": "x"}}
    app = {"hydra": {"job": {"name": "train"}, "runtime": {"output_dir": "/runs/1", "cwd": "/"}}}
    OmegaConf.save(OmegaConf.create(cfg), tmp_path / ".hydra" / "config.yaml")
    OmegaConf.save(OmegaConf.create(app), tmp_path / ".hydra" / "hydra.yaml")
    assert read_config(tmp_path).data.name == "train in /runs/1"
