"""Commands run from Python, as notebooks do."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from hardneg.cli import run
from hardneg.errors import ConfigError, UserError
from hardneg.runs.mined_lists import open_mined


def test_a_command_leaves_the_process_as_it_was(environment, small, tmp_path, capsys):
    root = logging.getLogger()
    before = (list(sys.argv), dict(os.environ), list(root.handlers), root.level)
    run("train", *small, "strategy=bm25", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
    run("train", *small, "strategy=bm25", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=again")
    assert (list(sys.argv), dict(os.environ), list(root.handlers), root.level) == before
    said = capsys.readouterr()
    assert "epoch 1/1" in said.out and said.err == ""
    lists = open_mined(tmp_path / "run")
    assert lists.source == "bm25" and lists.fates["kept"] > 0
    assert lists.store.folder == open_mined(tmp_path / "again").store.folder


def test_an_error_is_an_exception(environment, small):
    with pytest.raises(ConfigError, match="batch_size=0"):
        run("train", *small, "batch_size=0")
    with pytest.raises(UserError, match="toyy"):
        run("train", "data=toyy")
    with pytest.raises(UserError, match="exit code 2"):
        run("trian")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "data=toy", "batch_size=0"], "batch_size=0"),
        (["train", "data=jsonl", "data.path=nowhere.jsonl"], "data.path=nowhere.jsonl: there is no such file"),
        (["train", "data=toy", "init_from=nowhere.ckpt"], "init_from=nowhere.ckpt: there is no such file"),
        (["index", "data=toy", "ckpt_path=a.ckpt", "index.path=i", "keep=0"], "keep=0 must be 1 or more"),
        (
            ["index", "data=toy", "ckpt_path=a.ckpt", "index.path=i", "rebuild=true", "switch=false"],
            "leave switch=true",
        ),
    ],
)
def test_a_refused_config_leaves_nothing(environment, tmp_path, words, says):
    (tmp_path / "a.ckpt").touch()
    with pytest.raises(ConfigError, match=says):
        run(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_two_runs_of_one_second_have_a_folder_each(environment, small, monkeypatch):
    from hydra._internal import hydra
    from omegaconf import OmegaConf

    def stopped():
        original()
        OmegaConf.register_new_resolver("now", lambda pattern: "then", replace=True)

    original = hydra.setup_globals
    monkeypatch.setattr(hydra, "setup_globals", stopped)
    Path("outputs/then_toy-in_batch-infonce-s1").mkdir(parents=True)  # another process is about to begin there
    run("train", *small, "trainer.max_steps=1", "evaluate.before=false", "logger=csv")
    (other,) = Path("outputs").glob("*/summary.json")
    assert other.parent.name == "then_toy-in_batch-infonce-s1_2"
    assert OmegaConf.load(other.parent / ".hydra/hydra.yaml").hydra.run.dir == "outputs/then_toy-in_batch-infonce-s1_2"


def test_an_interrupt_is_one(environment, small):
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 3, signal_name: SIGINT}"
    with pytest.raises(KeyboardInterrupt):
        run("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run", stop)


def test_evaluate_and_mine_take_a_run_folder_and_say_where_their_results_are(environment, small, capsys):
    run("train", *small, "trainer.max_steps=1", "evaluate.before=false", "logger=csv", "hydra.run.dir=run")
    trained = json.loads(Path("run/summary.json").read_text())
    assert trained["command"].startswith("hardneg train data=toy ") and trained["host"] and trained["data_path"] is None
    for command, kept in (("evaluate", "summary.json"), ("mine", "mined.json")):
        capsys.readouterr()
        run(command, "data=toy", "ckpt_path=run", "device=cpu", f"hydra.run.dir={command}")
        assert f"results: {Path(command).resolve()}" in capsys.readouterr().out
        assert Path(command, kept).exists()
    found = json.loads(Path("evaluate/summary.json").read_text())
    assert found["ckpt_path"].endswith("run/checkpoints/best.ckpt")
    assert found["test"]["checkpoint"]["ndcg@10"] == pytest.approx(trained["test"]["after"]["ndcg@10"])
