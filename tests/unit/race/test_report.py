"""What a race says of its runs at the end."""

from __future__ import annotations

import json

import optuna
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.compare.arms import unnamed_differences
from hardneg.race.budget import AtTheEnd, RacePlan
from hardneg.race.decide import Verdict
from hardneg.race.executor import Executor
from hardneg.race.outcome import RaceOutcome
from hardneg.race.portfolio import EnteredArm, RaceSettings
from hardneg.race.race import Race
from hardneg.race.record import Record
from hardneg.race.report import _arms, _tell_of_negatives
from hardneg.runs import status

ARMS = {"in_batch": ["strategy=in_batch"], "random": ["strategy=random"]}


def outcome(folder):
    """A race whose looks are over."""
    config = OmegaConf.create({"hydra": {"launcher": {}, "overrides": {"hydra": []}}})
    record = Record(optuna.create_study(direction="maximize"), folder)
    arms = {name: EnteredArm(name, (), tuple(own)) for name, own in ARMS.items()}
    race = Race(
        RaceSettings("10m", ARMS),
        folder,
        arms,
        Executor(config, BasicLauncher(), folder),
        record,
        "ndcg@10",
        AtTheEnd(2, True),
    )
    verdict = Verdict("in_batch", "random", ["in_batch", "random"], 0.0, 0.0)
    return RaceOutcome(race, RacePlan({"in_batch": 50, "random": 25}, 1.0, 1.0, 1), verdict)


@pytest.mark.parametrize("auto", [True, False])
def test_a_rate_that_follows_from_the_length_is_no_difference_of_its_own(tmp_path, auto):
    for name, steps, rate in (("in_batch", 400, 0.005), ("random", 50, 0.01)):
        folder = tmp_path / "end" / f"{name}-s2"
        status.write(folder, state="done", **{"learning_rate": rate} if auto else {})
        (folder / ".hydra").mkdir()
        config = {"encoder": {"lr": rate}, "trainer": {"max_steps": steps}, "batch_size": steps}
        (folder / ".hydra" / "config.yaml").write_text(json.dumps(config))
        told = {"strategy": name, "loss": "infonce", "seed": 2, "data": "toy", "test": {"after": {"ndcg@10": 0.5}}}
        (folder / "summary.json").write_text(json.dumps(told))
    arms = _arms(outcome(tmp_path), [("in_batch", 2), ("random", 2)])
    assert unnamed_differences(arms["random"], arms["in_batch"]) == ([] if auto else ["encoder.lr=0.01 (0.005)"])


def test_the_negatives_of_an_arm_are_told_by_its_name_and_by_their_source_where_that_is_another(tmp_path, caplog):
    did = {"loss_share": 0.25, "above_positive": 0.5}
    folder = tmp_path / "arms" / "random"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"negatives": {"random": did, "bm25": did}}))
    caplog.set_level("INFO", "hardneg")
    _tell_of_negatives(outcome(tmp_path))
    said = [record.getMessage().partition(": ")[0] for record in caplog.records if "of the loss" in record.getMessage()]
    assert said == ["random", "random, bm25"]
