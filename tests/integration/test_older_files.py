"""What was written before modules moved can still be read, and a run is still the run that it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hardneg import open_mined
from hardneg.config import classes
from hardneg.config.moved import MOVED, first_path, todays
from hardneg.encoders import checkpoint
from hardneg.mining import bm25

OLD = Path(__file__).parents[1] / "fixtures" / "flat_package"
WORLD = ["data=toy", "data.docs=80", "data.queries=40", "data.names=12", "data.attributes=6"]
JOB = [
    *("encoder=static", "encoder.dim=4", "encoder.vocab_size=200", "logger=csv", "negatives=[in_batch,bm25]"),
    *("negatives.bm25.depth=10", "negatives.bm25.pool=10", "negatives.bm25.k=2", "batch_size=8"),
    *("trainer.max_epochs=1", "seed=1", "hydra.sweep.dir=sweep"),
]


@pytest.fixture
def old(tmp_path, monkeypatch):
    """The files, where a test may write, with their cache."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("HARDNEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(old):
    (run,) = (old / "sweep").iterdir()
    return run


def test_every_old_path_leads_to_a_module_that_is_there():
    for before, now in MOVED.items():
        __import__(now)
        assert todays({"x": [{"_target_": f"{before}.Name"}]}) == {"x": [{"_target_": f"{now}.Name"}]}
        assert first_path(f"{now}.Name") == f"{before}.Name"
    made = classes.build({"_target_": "hardneg.schedule.Schedule", "shape": "cosine"})
    assert type(made).__module__ == "hardneg.training.schedule"


def test_a_sweeps_job_is_the_one_that_is_done(hardneg, old, run):
    written = (run / "summary.json").read_bytes()
    done = hardneg("train", "-m", *WORLD, *JOB)
    assert "1 job: 1 done" in done.stdout
    assert [path.name for path in (old / "sweep").iterdir() if path.is_dir()] == [run.name]
    assert (run / "summary.json").read_bytes() == written


def test_its_checkpoint_ranks_as_it_did(hardneg, run):
    ckpt_path = run / "checkpoints" / "best.ckpt"
    assert checkpoint.load(ckpt_path).towers.dim == 4
    hardneg("evaluate", *WORLD, f"ckpt_path='{ckpt_path}'", "hydra.run.dir=again")
    before, now = (json.loads((folder / "summary.json").read_text())["test"] for folder in (run, Path("again")))
    assert now["checkpoint"] == pytest.approx(before["after"])


def test_its_mined_lists_open_and_the_same_mining_finds_them(hardneg, old, run, monkeypatch):
    (store,) = (old / "cache" / "stores").iterdir()
    monkeypatch.setattr(bm25, "version", {"bm25s": json.loads((store / "card.json").read_text())["miner"]["bm25s"]}.get)
    assert open_mined(run).fates["kept"] > 0
    hardneg("train", *WORLD, *JOB[:-1], "hydra.run.dir=new")
    assert {path.name for path in (old / "cache" / "stores").iterdir() if path.is_dir()} == {store.name}


def test_its_index_answers(hardneg, run):
    ckpt_path = str(run / "checkpoints" / "best.ckpt")
    done = hardneg("search", "index", "a question", "-k", "3", "--ckpt-path", ckpt_path)
    assert "fresh: build" in done.stdout
