"""A run's config is checked before it has a folder, and not once more in the same process."""

from __future__ import annotations

import pytest
from confs import compose

from hardneg.cli import in_process
from hardneg.config import classes
from hardneg.errors import ConfigError, UserError
from hardneg.negatives.curriculum import Curriculum
from hardneg.preflight.parts import check_parts
from hardneg.sweep import check_jobs, hydra_app


@pytest.fixture
def began(monkeypatch, tmp_path):
    """Begin a run of `hardneg train` that does nothing; return the seeds that were checked, in order."""
    asked = []
    monkeypatch.setattr("hardneg.preflight.parts.check_parts", lambda node: asked.append(node["seed"]))
    monkeypatch.setattr(check_jobs, "check_here", lambda cfg: None)
    monkeypatch.chdir(tmp_path)

    def start(*words):
        asked.clear()
        words = ["data=toy", *words]
        with in_process("train", *words):
            hydra_app.start("train", words, lambda cfg: None)
        return list(asked)

    return start


def test_a_single_run_is_checked_once(began):
    assert began("hydra.run.dir=run") == [1]
    assert began("hydra.run.dir=again", "seed=3") == [3], "the next one anew"


def test_each_job_of_a_sweep_is_checked_before_the_first_and_when_it_begins(began):
    assert began("-m", "hydra.sweep.dir=sweep", "hydra/launcher=basic") == [1, 1]


def test_another_rank_checks_for_itself(began, monkeypatch):
    monkeypatch.setattr(check_jobs.Preflight, "on_run_start", lambda *_, **__: None)  # the first rank chose for it
    assert began("hydra.run.dir=run") == [1]


def test_what_is_refused_before_the_start_is_not_begun(began, monkeypatch):
    def refuse(cfg):
        raise ConfigError("no")

    monkeypatch.setattr(check_jobs, "check_here", refuse)
    with pytest.raises(UserError):
        began("hydra.run.dir=run")


def test_each_group_of_a_config_and_its_curriculum_are_made_once(monkeypatch):
    made, curricula = [], []

    def build_group(nodes, group):
        made.append(group)
        return build(nodes, group)

    def begin(self, **given):
        curricula.append(self)
        init(self, **given)

    build, init = classes.build_group, Curriculum.__init__
    monkeypatch.setattr(classes, "build_group", build_group)
    monkeypatch.setattr(Curriculum, "__init__", begin)
    check_parts(classes.plain(compose("data=toy", "strategy=easy_to_hard", "callbacks=[temperature_warmup]")))
    assert len(curricula) == 1
    assert sorted(made) == ["callbacks", "filter", "loss", "negatives", "pairs"]
