"""A job that is asked for again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from hardneg.config.run_identity import identity
from hardneg.errors import UserError
from hardneg.runs import job, status
from hardneg.runs.earlier_run import finished, note_found

READ, OWN = {"lr": "${encoder.lr}"}, {"lr": 0.3}


@pytest.mark.parametrize(
    ("optimizer", "found", "noted"),
    [(READ, {"learning_rate": 0.005}, 0.005), (OWN, {}, "auto")],
)
def test_a_finished_run_that_is_asked_for_without_its_rate_keeps_it(tmp_path, optimizer, found, noted):
    asked = OmegaConf.create({"seed": 1, "encoder": {"lr": "auto"}, "optimizer": optimizer})
    ran = {"seed": 1, "encoder": {"lr": found.get("learning_rate", "auto")}, "optimizer": optimizer}
    status.write(tmp_path, state="done", result=0.5, identity=identity(ran), **found)
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(asked, tmp_path / ".hydra" / "config.yaml")  # as Hydra writes it before the job begins
    assert finished(tmp_path, asked)["result"] == 0.5
    note_found(asked, tmp_path)
    assert OmegaConf.load(tmp_path / ".hydra" / "config.yaml").encoder.lr == noted


def test_a_finished_run_that_is_asked_for_without_its_batch_keeps_it(tmp_path):
    status.write(tmp_path, state="done", result=0.5, batch_size=32)
    (tmp_path / ".hydra").mkdir()
    asked = OmegaConf.create({"batch_size": "auto", "encoder": {"batch_size": 256}})
    OmegaConf.save(asked, tmp_path / ".hydra" / "config.yaml")
    note_found(asked, tmp_path)
    assert OmegaConf.load(tmp_path / ".hydra" / "config.yaml").batch_size == 32


def test_a_job_without_an_encoder_is_left_as_it_is(tmp_path):
    note_found(OmegaConf.create({"seed": 1}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_refused_is_told_in_a_line_and_where_it_was_in_the_log(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(job.HydraConfig, "get", lambda: SimpleNamespace(overrides=SimpleNamespace(task=[])))

    def entry(cfg):
        raise PermissionError(13, "Permission denied", "/a/part/of/ones/own")

    caplog.set_level("INFO")
    with pytest.raises(UserError, match="/a/part/of/ones/own"):
        job._recorded(entry, OmegaConf.create({"seed": 1}), tmp_path)
    (record,) = caplog.records
    assert record.only_in_file and "in entry" in caplog.text
