"""A run folder in place of one of its checkpoints; whose it is; what a failed attempt leaves."""

from __future__ import annotations

import numpy as np
import pytest
from confs import compose

from hardneg.config import run_identity
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_words
from hardneg.runs import rungs, status
from hardneg.runs.drawn_stores import note_store
from hardneg.runs.folder import clear, holds, refuse_used, with_checkpoint


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in ("last.ckpt", "best.ckpt"):
        (tmp_path / "run" / "checkpoints" / name).touch()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("command", "key"),
    [("evaluate", "ckpt_path"), ("mine", "ckpt_path"), ("probe", "ckpt_path"), ("train", "init_from")],
)
def test_a_run_folder_stands_for_its_best_checkpoint_else_its_last(command, key, run):
    cfg = compose(f"{key}={run}", name=command)
    check_words(cfg)
    assert with_checkpoint(cfg)[key] == str(run / "checkpoints" / "best.ckpt")
    assert cfg[key] == str(run)
    (run / "checkpoints" / "best.ckpt").unlink()
    assert with_checkpoint(cfg)[key] == str(run / "checkpoints" / "last.ckpt")
    named = compose(f"{key}={run}/checkpoints/last.ckpt", name=command)
    assert with_checkpoint(named) == named


def test_a_folder_without_a_checkpoint_is_refused_by_its_key(tmp_path):
    with pytest.raises(ConfigError, match=r"ckpt_path: .* is neither a checkpoint nor a run folder"):
        check_words(compose(f"ckpt_path={tmp_path}", name="evaluate"))


def test_a_training_goes_on_by_resume(run):
    with pytest.raises(ConfigError, match=rf"hardneg resume {run}; to start from its weights, init_from={run}"):
        check_words(compose(f"ckpt_path={run}", name="train"))


def used(folder, cfg, state, checkpoint=False):
    """A folder as a run left it."""
    folder.mkdir()
    (folder / "summary.json").write_text("{}")
    status.write(folder, state=state, identity=run_identity.identity(cfg, folder))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_complete_run_is_not_trained_over_by_itself_or_another_config(seed, tmp_path):
    cfg = compose("seed=1")
    used(tmp_path / "run", cfg, "done", checkpoint=True)
    told = r"choose another hydra\.run\.dir; it is complete, and its results are in .*/run/summary\.json$"
    with pytest.raises(ConfigError, match=told):
        refuse_used(tmp_path / "run", compose(f"seed={seed}"), training=True)
    on = compose(f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt", f"seed={seed}")
    with pytest.raises(ConfigError, match=r"complete run.*overwritten; to train it on.*delete its summary\.json"):
        refuse_used(tmp_path / "run", on, training=True)
    (tmp_path / "run" / "summary.json").unlink()
    refuse_used(tmp_path / "run", on, training=True)
    with pytest.raises(ConfigError, match=r"or go on with it: hardneg resume .*run$"):
        refuse_used(tmp_path / "run", cfg, training=True)


def test_a_run_that_was_stopped_after_its_summary_goes_on(tmp_path):
    cfg = compose(f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt")
    used(tmp_path / "run", cfg, "interrupted", checkpoint=True)
    refuse_used(tmp_path / "run", cfg, training=True)


def test_a_run_that_was_stopped_after_its_summary_is_not_called_complete(tmp_path):
    used(tmp_path / "run", compose(), "interrupted", checkpoint=True)
    with pytest.raises(ConfigError, match=r"run already; choose another .*, or go on with it: hardneg resume .*/run$"):
        refuse_used(tmp_path / "run", compose(), training=True)


def test_results_of_another_command_are_not_overwritten_and_its_own_may_be_made_again(tmp_path):
    cfg = compose("ckpt_path=a.ckpt", name="evaluate")
    used(tmp_path / "run", cfg, "done")
    refuse_used(tmp_path / "run", cfg, training=False)
    for other, training in ((compose("ckpt_path=b.ckpt", name="evaluate"), False), (compose(), True)):
        with pytest.raises(ConfigError, match="results of an earlier command, which would be overwritten"):
            refuse_used(tmp_path / "run", other, training)


def test_a_run_at_work_keeps_its_folder_and_nothing_of_it_is_touched(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(status, "PATIENCE", 0.05)  # which an earlier attempt has to finish its step
    cfg = compose()
    with status.held(tmp_path / "run"):
        status.begin(tmp_path / "run", identity=run_identity.identity(cfg))
        with pytest.raises(ConfigError, match=r"run is at work; wait for its end, or choose another hydra\.run\.dir"):
            refuse_used(tmp_path / "run", cfg, training=True)
        assert [line for line in caplog.messages if "run is at work; waiting up to" in line] == caplog.messages[:1]
        monkeypatch.setenv("NODE_RANK", "1")  # of a run whose first rank is at work there
        refuse_used(tmp_path / "run", cfg, training=True)
        monkeypatch.delenv("NODE_RANK")
    refuse_used(tmp_path / "run", cfg, training=True)


def test_a_folder_holds_the_run_of_its_config_whatever_checkpoint_that_goes_on_from(tmp_path):
    cfg = compose("seed=1")
    assert not holds(tmp_path / "run", cfg)
    used(tmp_path / "run", cfg, "interrupted")
    assert holds(tmp_path / "run", compose("seed=1", f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"))
    assert not holds(tmp_path / "run", compose("seed=2"))


def test_a_run_that_is_at_work_after_its_summary_is_not_called_complete_nor_resumable(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    used(tmp_path / "run", compose(), "running", checkpoint=True)
    with status.held(tmp_path / "run"), pytest.raises(ConfigError, match="is at work; wait for its end"):
        refuse_used(tmp_path / "run", compose(), training=True)


def test_a_run_that_was_stopped_while_we_waited_for_it_is_not_trained_over(tmp_path, monkeypatch):
    used(tmp_path / "run", compose(), "interrupted", checkpoint=True)
    (tmp_path / "run" / "summary.json").unlink()
    said = iter([{"state": "running"}, {"state": "interrupted"}])
    monkeypatch.setattr(status, "read", lambda _: next(said))
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    with pytest.raises(ConfigError, match="holds a training run already"):
        refuse_used(tmp_path / "run", compose(), training=True)


def test_a_cleared_folder_keeps_what_is_not_the_attempts(tmp_path):
    of_loggers = ("metrics.csv", "wandb_run_id", "mlflow_run_id", "aim_run_hash", "tensorboard/events.1")
    for name in (*of_loggers, "checkpoints/last.ckpt", "audit_step_3.md", "notes.txt", "train.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    note_store(tmp_path, "mined", "of the attempt", 0, True)
    rungs.note(tmp_path, np.array(["q"]), np.ones(1), 900, 1.0)
    clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "train.log"]
