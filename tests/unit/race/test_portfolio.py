"""The arms of a race: what is refused, and the command lines that come of them."""

from __future__ import annotations

import re

import pytest
from confs import CONF
from hydra import compose
from omegaconf import OmegaConf

from hardneg.commands.race import command_of
from hardneg.config.run_identity import identity
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.race.budget import AtTheEnd
from hardneg.race.portfolio import RaceSettings, duplicates, entries
from hardneg.race.race import end_of
from hardneg.runs import status

ARMS = {"in_batch": ["strategy=in_batch"], "bm25": ["strategy=bm25", "batch_size=128"]}


pytestmark = pytest.mark.usefixtures("composing")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"budget": None}, "needs a time budget: give budget=30m"),
        ({"rungs": 0}, "rungs=0 must be a whole number, 1 or more"),
        ({"growth": 1}, "growth=1 must be a whole number, 2 or more"),
        ({"alpha": 0.7}, "alpha=0.7 is a share: above 0, at most 0.5"),
        ({"keep": 0.0}, "keep=0.0 is a share"),
        ({"baseline": "bm52"}, "baseline=bm52 is not among the arms; there are in_batch, bm25"),
        ({"arms": {}}, "baseline=in_batch is not among the arms; there are none"),
        ({"arms": {"in_batch": []}}, "a race needs two arms or more"),
        ({"arms": ARMS | {"a/b": []}}, "arm 'a/b': its name becomes a folder's"),
        ({"arms": ARMS | {"x": "strategy=bm25"}}, "arm x: give a list of words"),
        ({"arms": ARMS | {"x": ["batch_size=1,2"]}}, "arm x: batch_size=1,2: several values are several arms"),
        ({"arms": ARMS | {"x": ["trainer.max_steps=5"]}}, "arm x: trainer.max_steps=5: a race has no such word, since"),
        ({"arms": ARMS | {"x": ["hydra.run.dir=y"]}}, "arm x: hydra.run.dir=y: settings of Hydra"),
        ({"arms": ARMS | {"x": ["strategy=in_batch"]}}, "arms in_batch and x are the same"),
    ],
)
def test_what_cannot_be_is_refused(given, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        RaceSettings(**{"budget": "1m", "arms": ARMS, **given}).portfolio()


def test_an_arm_that_is_null_is_left_out_and_common_words_are_checked():
    settings = RaceSettings("1m", ARMS | {"x": None})
    assert list(entries(settings, ["data=toy", "race=default"])) == ["in_batch", "bm25"]
    with pytest.raises(ConfigError, match=r"^seed=1,2: several values"):
        entries(settings, ["seed=1,2"])


def test_the_run_that_is_timed_logs_to_its_own_folder_alone_whatever_the_others_log_to():
    """Also callbacks that write to loggers, such as lr_monitor, are timed."""
    words = ["logger=wandb", "logger.wandb.project=mine", "callbacks=[lr_monitor]"]
    timed = entries(RaceSettings("1m", ARMS), words)["bm25"].timed()
    assert [word for word in timed if word.startswith("logger")] == ["logger=csv"]
    check_config(compose("train", [word for word in timed if not word.lstrip("+").startswith("hydra.")]))


def test_what_no_look_goes_by_is_left_to_the_runs_at_the_end():
    """Tests, other sets to test on, and what a subset of dev's documents is compared with."""
    words = ["+evaluate.also.legal.path=legal", "evaluate.documents=subset"]
    arm = entries(RaceSettings("1m", ARMS), words)["bm25"]

    def cfg(words):
        return compose("train", [word for word in words if not word.lstrip("+").startswith("hydra.")])

    for one in (cfg(arm.timed()), cfg(arm.raced(5, 4))):
        assert one.split.test is None and one.evaluate.also is None
        assert not one.evaluate.before and not one.evaluate.compare_with_all
        assert end_of(one) == AtTheEnd(tests=0, compares=False)
    whole = cfg(arm.at_the_end(5, 4, seed=2))
    assert whole.evaluate.also.legal.path == "legal"
    assert end_of(whole) == AtTheEnd(tests=2, compares=True)
    assert end_of(cfg([*words, "split.test=null", "evaluate.before=false"])).tests == 1, "the other sets are a test"
    assert end_of(cfg(["split.test=null", "evaluate.compare_with_all=false"])) == AtTheEnd(tests=0, compares=False)


def test_of_arms_that_come_to_the_same_run_the_baseline_stays_or_the_first():
    assert duplicates({"a": "x", "b": "y", "c": "x", "d": "x"}, "b") == {"c": "a", "d": "a"}
    assert duplicates({"a": "x", "b": "y", "c": "x", "d": "x"}, "c") == {"a": "c", "d": "c"}
    assert duplicates({"a": "x", "b": "y"}, "a") == {}


def test_a_batch_that_an_arm_names_and_one_that_was_found_come_to_the_same_run(tmp_path):
    words = OmegaConf.load(CONF / "race" / "static.yaml")["in_batch_64"]
    assert words == ["strategy=in_batch", "batch_size=64"], "a race that was begun with these goes on with no others"
    named, found = (compose("train", ["data=toy", *own]) for own in (words, ["strategy=in_batch"]))
    assert found.batch_size == "auto"
    status.write(tmp_path, batch_size=64)
    assert identity(found, tmp_path) == identity(named, tmp_path)
    status.write(tmp_path, batch_size=32)
    assert identity(found, tmp_path) != identity(named, tmp_path)


def test_an_arms_words_come_after_those_of_all_and_its_command_has_each_once():
    arm = entries(RaceSettings("1m", ARMS), ["data=toy", "batch_size=32"])["bm25"]
    assert arm.raced(10, 8)[:4] == ["data=toy", "batch_size=32", "strategy=bm25", "batch_size=128"]
    assert {"trainer.max_steps=80", "evaluate.every_n_steps=10", "split.test=null"} <= set(arm.raced(10, 8))
    assert "split.test=null" not in arm.at_the_end(10, 8, 4) and "seed=4" in arm.at_the_end(10, 8, 4)
    assert arm.command(10, 8, 4) == (
        "hardneg train data=toy strategy=bm25 batch_size=128 trainer.max_steps=80 trainer.max_epochs=-1"
        " evaluate.every_n_steps=10 seed=4"
    )


def test_the_command_names_the_folder_of_own_yamls():
    arm = entries(RaceSettings("1m", ARMS), ["data=toy"], ["--config-dir", "/own conf"])["bm25"]
    assert arm.command(10, 8, 4).startswith("hardneg train --config-dir '/own conf' data=toy strategy=bm25")


def test_a_race_is_a_sweep_with_its_own_words():
    command, words = command_of(["data=toy", "budget=5m", "alpha=0.1", "hydra.sweep.dir=here"])
    assert (command, words[:2]) == ("train", ["-m", "hydra/sweeper=race"])
    assert {"hydra.sweeper.budget=5m", "hydra.sweeper.alpha=0.1", "race=default", "data=toy"} <= set(words)
    assert [word for word in words if word.startswith("hydra.sweep.dir=")] == ["hydra.sweep.dir=here"]
    assert command_of(["data=toy", "--config-dir", "own", "budget=5m"])[1][:3] == ["-m", "--config-dir", "own"]
    shown = command_of(["data=toy", "budget=5m", "--cfg", "hydra", "-p", "hydra.sweeper"])[1]
    assert shown[:5] == ["--cfg", "hydra", "--package", "hydra.sweeper", "hydra/sweeper=race"] and "-m" not in shown
    wrongs = [(["-m", "budget=1m"], "leave it out"), (["data=toy"], "give a time budget")]
    for wrong, says in (*wrongs, (["--cgf", "job", "budget=1m"], "--cgf is not an option of hardneg race")):
        with pytest.raises(ConfigError, match=says):
            command_of(wrong)
