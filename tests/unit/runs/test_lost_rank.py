"""A run whose rank was killed was interrupted; one whose rank failed has failed, and says why."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from hardneg.errors import RankLost, UserError
from hardneg.runs import job, lost_rank, status


@pytest.fixture
def run(tmp_path, monkeypatch):
    app = SimpleNamespace(overrides=SimpleNamespace(task=[]))
    monkeypatch.setattr(job.HydraConfig, "get", lambda: app)
    monkeypatch.setattr(job.launch, "decided", lambda name, make: {})

    def lose(before=lambda: None):
        def entry(cfg):
            before()
            raise RankLost

        with status.held(tmp_path), pytest.raises(UserError) as raised:
            job._recorded(entry, OmegaConf.create({"seed": 1}), tmp_path)
        return raised.value, status.read(tmp_path)

    return lose


def test_a_rank_that_was_killed_interrupts_the_run_and_twice_at_one_step_fails_it(run, tmp_path):
    for step, state in ((7, "interrupted"), (9, "interrupted"), (9, "failed"), (9, "interrupted")):
        error, found = run(lambda step=step: status.write(tmp_path, step=step))
        assert found["state"] == state and isinstance(error, RankLost) == (state == "interrupted")
        assert found["error"] == str(error) and (state != "failed" or "lost twice at step 9" in str(error))


@pytest.mark.parametrize("error", [ValueError("no such row"), UserError("no such row")])
def test_a_rank_that_failed_fails_the_run_with_its_line(run, tmp_path, error):
    def fail(cfg):
        raise error

    def other_rank():
        with pytest.raises(type(error)):
            job._followed(fail, OmegaConf.create(), tmp_path)

    said, found = run(other_rank)
    assert found["state"] == "failed" and found["error"].endswith("Error: no such row")
    assert str(said) == f"another rank of this run has failed: {found['error']}"


def test_another_rank_tells_in_a_line_what_a_user_can_mend(tmp_path, monkeypatch, caplog):
    """Hydra wrote all words of the command line before it: an error that is raised through it is one of the job's."""
    runtime, jobs = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(config_name="train")
    app = SimpleNamespace(runtime=runtime, job=jobs, mode=RunMode.RUN)
    monkeypatch.setattr(job.HydraConfig, "get", lambda: app)
    monkeypatch.setattr(job.launch, "first_rank", lambda: False)
    monkeypatch.setattr(job.launch, "decided", lambda name, make: {})

    def fail(cfg):
        raise UserError("pairs.csv:7: no such row")

    with pytest.raises(SystemExit) as ended:
        job.run(fail, OmegaConf.create())
    assert ended.value.code == 2 and caplog.messages == ["hardneg train: pairs.csv:7: no such row"]


def test_a_run_that_was_refused_leaves_no_folder(tmp_path):
    lost_rank.note_failure(tmp_path / "gone", "UserError: no such file")
    assert not list(tmp_path.iterdir())


def test_a_rank_that_has_lost_another_has_not_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(job.launch, "decided", lambda name, make: {})

    def lose(cfg):
        raise RankLost

    with pytest.raises(RankLost):
        job._followed(lose, OmegaConf.create(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_lost_twice_before_any_step_is_no_reason_to_go_on_for_ever(tmp_path):
    status.write(tmp_path, state="running")
    assert isinstance(lost_rank.noted(tmp_path, RankLost()), RankLost)
    assert "lost twice at step 0" in str(lost_rank.noted(tmp_path, RankLost()))
