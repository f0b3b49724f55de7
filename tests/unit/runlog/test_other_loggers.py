"""The loggers beside CSV and W&B: what they are given, how they go on, and what is said where a package is absent."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import pytest
from filelock import FileLock, Timeout

from hardneg.errors import ConfigError
from hardneg.runlog import installed
from hardneg.runlog.aim_run import AimRun
from hardneg.runlog.loggers import loggers
from hardneg.runlog.mlflow_run import MlflowRun
from hardneg.runlog.tensorboard_run import TensorboardRun

CONFIG = {"seed": 1, "negatives": {"bm25": {"k": 2}}, "provenance": {"commit": "abc", "command": "hardneg train"}}
SUMMARY = {"steps": 4, "test": {"before": {"ndcg@10": 0.1}, "after": {"ndcg@10": 0.5}}}


class Silent:
    """A stand-in for Lightning's logger of MLflow that takes what it is told and does nothing."""

    def log_hyperparams(self, params):
        pass

    def finalize(self, status):
        pass


def finish(folder):
    (folder / "summary.json").write_text(json.dumps(SUMMARY))


@pytest.mark.parametrize("logger", [TensorboardRun, MlflowRun, AimRun])
def test_a_logger_whose_package_is_absent_says_how_to_get_it(logger, monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    name = logger.__name__.removesuffix("Run").lower()
    with pytest.raises(ConfigError, match=rf"logger={name} needs {name}.*pip install 'hardneg\[{name}\]'"):
        logger.check()


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    found = {tag: [(e.step, round(e.value, 4)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return found, set(events.Tags()["tensors"]), events


def test_tensorboard_gets_metrics_config_and_table_and_a_resumed_run_shows_each_step_once(tmp_path):
    pytest.importorskip("tensorboard")
    nodes = {"tensorboard": {"_target_": "hardneg.runlog.tensorboard_run.TensorboardRun", "_partial_": True}}
    facts = {"folder": tmp_path, "config": CONFIG, "name": "unused"}
    with loggers(nodes, facts) as (log,):
        for step in (1, 2, 3):  # killed after step 3; the last checkpoint was at 1
            log.log_metrics({"train/loss": step / 10}, step)
    with loggers(nodes, facts) as (log,):
        log.save()  # as Lightning does before the first row
        for step in (2, 3, 4):
            log.log_metrics({"train/loss": step}, step)
        log.finalize("success")  # what is written after it must not void the rows before
        finish(tmp_path)
        log.log_run(tmp_path, tmp_path)
    found, texts, events = scalars(tmp_path)
    seen = dict(found["train/loss"])
    assert seen == {1: 0.1, 2: 2.0, 3: 3.0, 4: 4.0}
    assert [step for step, _ in found["train/loss"]][-3:] == [2, 3, 4]
    assert {"config/text_summary", "test/text_summary"} <= texts
    assert "negatives" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert found["test/ndcg@10"] == [(4, 0.5)]
    assert "bm25" in (tmp_path / "tensorboard" / "hparams.yaml").read_text()


def test_mlflow_goes_on_with_its_run_and_keeps_config_files_and_fate(tmp_path, monkeypatch):
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = tmp_path / "run"

    def job():
        return MlflowRun(folder=run, name="toy", config=CONFIG, dir=tmp_path, artifacts=False)

    with pytest.raises(RuntimeError), job() as log:
        log.log_metrics({"val/ndcg@10": 0.25}, 3)
        raise RuntimeError
    client, first = log.experiment, log.run_id
    assert client.get_run(first).info.status == "FAILED"
    with job() as log:
        log.log_metrics({"val/ndcg@10": 0.5}, 6)
    assert log.run_id == first == (run / "mlflow_run_id").read_text().strip()
    data = client.get_run(first).data
    assert (client.get_run(first).info.status, data.params["seed"], data.tags["commit"]) == ("FINISHED", "1", "abc")
    assert [(m.step, m.value) for m in client.get_metric_history(first, "val/ndcg_at_10")] == [(3, 0.25), (6, 0.5)]


def test_jobs_that_start_together_make_one_database_of_mlflow_one_after_the_other(tmp_path, monkeypatch):
    """Against a stand-in for Lightning's logger, which asks for MLflow."""
    held = []

    class Base:
        run_id = "r1"

        def __init__(self, **given):
            self.look()

        @property
        def experiment(self):
            return self.look()

        def look(self):
            try:
                with FileLock(tmp_path / "mlflow.db.lock", timeout=0):
                    held.append(False)
            except Timeout:
                held.append(True)

        def log_hyperparams(self, params):
            assert held == [True, True], "the tables, the experiment and the run are there"

        def finalize(self, status):
            pass

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("lightning.pytorch.loggers.MLFlowLogger", Base)
    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    for given in ({"dir": tmp_path}, {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"}):
        held.clear()
        with MlflowRun(folder=tmp_path / str(given), name="toy", config=CONFIG, **given):
            pass


@pytest.mark.parametrize(("code", "tries"), [("RESOURCE_ALREADY_EXISTS", 2), ("INTERNAL_ERROR", 1)])
def test_an_experiment_that_another_job_made_meanwhile_is_taken(tmp_path, monkeypatch, code, tries):
    asked = []

    class Refused(Exception):
        error_code = code

    class Base(Silent):
        run_id = "r1"

        def __init__(self, **given):
            pass

        @property
        def experiment(self):
            asked.append(1)
            if len(asked) == 1:
                raise Refused

    monkeypatch.setattr("lightning.pytorch.loggers.MLFlowLogger", Base)
    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    with nullcontext() if tries == 2 else pytest.raises(Refused):
        MlflowRun(folder=tmp_path, name="toy", config=CONFIG, tracking_uri="http://somewhere").__enter__()
    assert len(asked) == tries


@pytest.mark.parametrize("artifacts", [True, False])
def test_mlflow_keeps_the_ranking_of_each_of_several_test_sets(tmp_path, monkeypatch, artifacts):
    """Against a stand-in for Lightning's logger, which asks for MLflow."""
    kept = []

    class Base(Silent):
        def __init__(self, **given):
            self.run_id, self.experiment = "r1", SimpleNamespace(log_artifact=self.keep)

        def keep(self, run_id, path, artifact_path=None):
            kept.append((artifact_path, path.removeprefix(f"{tmp_path}/")))

    monkeypatch.setattr("lightning.pytorch.loggers.MLFlowLogger", Base)
    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    (tmp_path / "test").mkdir()
    for name in ("summary.json", "test/easy.run", "test/hard.run"):
        (tmp_path / name).write_text("x")
    with MlflowRun(folder=tmp_path, name="toy", config=CONFIG, tracking_uri="none", artifacts=artifacts) as log:
        log.log_run(tmp_path, tmp_path)
    wanted = [(None, "summary.json"), ("test", "test/easy.run"), ("test", "test/hard.run")]
    assert kept == (wanted if artifacts else [])


def test_aim_is_given_the_repository_the_config_and_the_hash_of_the_run_to_go_on_with(tmp_path, monkeypatch):
    """Against a stand-in with the signature of aim 3.29: the package itself is too large for a test."""
    made = []

    class AimLogger:
        def __init__(
            self,
            repo=None,
            experiment=None,
            system_tracking_interval=None,
            log_system_params=True,
            capture_terminal_logs=True,
            run_name=None,
            run_hash=None,
            context_prefixes=None,
            context_postfixes=None,
        ):
            self.given, self.params, self.rows, self.kept = (repo, run_name, run_hash), {}, [], {}
            keep = lambda key, value, strict: self.kept.update({key: value})  # noqa: E731
            self.experiment = SimpleNamespace(hash="h1", close=lambda: made.append(self), set=keep)

        def log_hyperparams(self, params):
            self.params = params

        def log_metrics(self, metrics, step=None):
            self.rows.append((step, metrics))

    package, module = ModuleType("aim"), ModuleType("aim.pytorch_lightning")
    module.AimLogger = AimLogger
    monkeypatch.setitem(sys.modules, "aim", package)
    monkeypatch.setitem(sys.modules, "aim.pytorch_lightning", module)
    monkeypatch.setattr(installed, "find_spec", lambda name: object())
    for _ in range(2):
        with AimRun(folder=tmp_path, name="toy", config=CONFIG, repo="runs") as log:
            log.log_metrics({"val/ndcg@10": 0.5, "epoch": 2.0}, 3)
            finish(tmp_path)
            log.log_run(tmp_path, tmp_path)
    assert [one.given for one in made] == [("runs", "toy", None), ("runs", "toy", "h1")]
    assert made[1].params == CONFIG and made[1].rows == [(3, {"val/ndcg@10": 0.5, "epoch": 2})]
    assert made[1].kept == {"test": SUMMARY["test"]}
