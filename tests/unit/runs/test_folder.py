"""A run folder in place of one of its checkpoints."""

from __future__ import annotations

import pytest
from confs import compose

from hardneg.errors import ConfigError
from hardneg.preflight.config import check_words
from hardneg.runs.folder import with_checkpoint


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
