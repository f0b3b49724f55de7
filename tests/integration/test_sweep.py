"""A sweep that was cut short, extended or partly failed: asked again, it runs what is missing and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from hardneg.runs import status

TINY = ["data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "encoder.dim=8"]
TINY += ["batch_size=4", "optimizer.lr=0.01", "logger=csv", "trainer.max_epochs=1"]  # 9 steps
TINY += ["checkpoint.every_n_steps=2", "evaluate.before=false", "evaluate.bm25=null"]
STOP = "+callbacks.stop={_target_: interrupts.Interrupt, step: 5, signal_name: %s}"


@pytest.fixture
def sweep(hardneg):
    """Run `hardneg train -m` on the toy world."""

    def run(*words, folder="sweep", code=0):
        return hardneg("train", "-m", *TINY, *words, f"hydra.sweep.dir={folder}", code=code)

    return run


def states(folder):
    read = {path.parent.name.rpartition("_")[0]: status.read(path.parent) for path in folder.glob("*/status.json")}
    return {name: read[name]["state"] for name in sorted(read)}


def contents(folder):
    """All that a run has left, to see whether it was run again."""
    files = [path for path in folder.glob("*/**/*") if path.is_file() and ".hydra" not in path.parts]
    return {path: path.stat().st_mtime_ns for path in files if path.name not in (status.LOCK, "train.log")}


def test_a_sweep_that_was_killed_ends_like_a_whole_one(hardneg, hardneg_process, sweep, tmp_path):
    words = ["strategy=in_batch,random"]
    sweep(*words, folder="whole")
    cut = [*words, STOP % "SIGKILL"]
    hardneg_process("train", "-m", *TINY, *cut, "hydra.sweep.dir=cut", code=-9)
    assert states(tmp_path / "cut") == {
        "toy-in_batch+random-infonce-s1": "waiting",
        "toy-in_batch-infonce-s1": "interrupted",
    }
    assert "1 interrupted, 1 waiting" in hardneg("jobs", "cut").stdout
    for folder in (tmp_path / "cut").glob("toy-in_batch*"):
        (folder / "interrupted").touch()  # no more kills
    again = sweep(*cut, folder="cut")
    assert again.stderr.count("resuming from") == 1 and "2 jobs: 2 done" in again.stdout
    for name in ("whole", "cut"):
        hardneg("compare", name, "--baseline", "in_batch-infonce", "--csv", f"{name}.csv")
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "cut.csv").read_text()


def test_ctrl_c_stops_the_sweep_with_a_table_and_each_attempt_goes_on_where_the_last_one_was(sweep, tmp_path):
    words = ["seed=1,2", STOP % "SIGINT"]  # once in each job
    first = sweep(*words, code=130)
    assert "2 jobs: 1 interrupted, 1 waiting" in first.stdout and "runs only what is missing" in first.stderr
    second = sweep(*words, code=130)
    assert "1 interrupted, 1 done" in second.stdout and "resuming from" in second.stderr
    third = sweep(*words)
    assert "2 jobs: 2 done" in third.stdout and third.stderr.count("finished already") == 1


def test_a_sweep_that_grows_keeps_what_is_finished_and_forgets_what_it_no_longer_asks_for(sweep, tmp_path):
    sweep("strategy=random", "seed=2", "batch_size=auto")
    done = contents(tmp_path / "sweep")
    status.write(tmp_path / "sweep" / "never_begun", state="waiting", name="never_begun")
    words = ["strategy=in_batch,random", "seed=2", "checkpoint.every_n_steps=3", "batch_size=auto"]
    grown = sweep(*words)  # its number was 0 and is 1
    assert grown.stderr.count("finished already") == 1 and "2 jobs: 2 done" in grown.stdout
    assert done.items() <= contents(tmp_path / "sweep").items()
    configs = [OmegaConf.load(path) for path in (tmp_path / "sweep").glob("*/.hydra/config.yaml")]
    assert [config.batch_size for config in configs] == [16, 16]  # of the finished one too, or they were two arms


def test_a_failed_job_loses_no_other_and_runs_anew(hardneg, sweep, tmp_path):
    words = ["strategy=random,in_batch", "+callbacks.fail={_target_: interrupts.FailInRun, step: 5, text: random}"]
    (tmp_path / "broken").touch()
    failed = sweep(*words, code=1)
    assert "2 jobs: 1 failed, 1 done" in failed.stdout and "RuntimeError: broken on purpose" in failed.stdout
    assert "Traceback" in failed.stderr
    assert "1 failed" in hardneg("jobs", "sweep", code=1).stdout
    (tmp_path / "broken").unlink()
    mended = sweep(*words)
    assert mended.stderr.count("finished already") == 1 and "resuming" not in mended.stderr
    assert "2 jobs: 2 done" in hardneg("jobs", "sweep").stdout


def test_a_folder_with_another_config_is_refused_before_anything_in_it_changes(hardneg, sweep, tmp_path):
    numbered = ["hydra.sweep.subdir=${hydra:job.num}"]
    sweep("seed=1,2", *numbered)
    before = {path: path.read_bytes() for path in (tmp_path / "sweep").glob("*/**/*") if path.is_file()}
    refused = sweep("seed=3,1,2", *numbered, code=2)
    assert "sweep/0 holds a run of another config: seed=1 (now 3)" in refused.stderr
    again = hardneg("train", *TINY, "seed=5", "hydra.run.dir=sweep/1", code=2)
    assert "holds a training run already" in again.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "sweep").glob("*/**/*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=1,1"], "jobs 0 (data=toy"),
        (["seed=1,2", "hydra.sweep.subdir=same"], "would share"),
        (["trainer.devices=1,2"], "hydra/launcher=processes"),
        (["hydra/launcher=processes", "hydra.launcher.n_jobs=0"], "n_jobs=0"),
        (["optimizer.lr=interval(0,1)"], "only a sweeper"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_as_a_whole(sweep, tmp_path, words, said):
    assert said in sweep(*words, code=2).stderr
    assert not list(tmp_path.glob("sweep/*/.hydra"))


def test_a_sweep_over_data_that_is_not_there_does_not_start(hardneg, tmp_path):
    words = ["train", "-m", "data=beir", "data.path=nowhere", "seed=1,2", "hydra.sweep.dir=sweep"]
    assert "data.path=nowhere: there is no such file or folder" in hardneg(*words, code=2).stderr
    assert not (tmp_path / "sweep").exists()


def test_another_process_in_the_folder_is_left_alone(sweep, tmp_path, monkeypatch):
    sweep("seed=1")
    (folder,) = (path.parent for path in tmp_path.glob("sweep/*/status.json"))
    status.write(folder, state="running", host="elsewhere", pid=7)
    monkeypatch.setattr(status, "PATIENCE", 0.1)
    with status.held(folder):
        busy = sweep("seed=1", code=1)
        assert "is at work in process 7 on elsewhere" in busy.stderr
        assert "1 running" in busy.stdout


def test_another_launchers_worker_composes_the_same_jobs_and_finds_them_again(sweep, hardneg_process):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    # A process of its own: the task is pickled for the workers, which functions that check shapes cannot be.
    words = ["seed=1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    assert "1 job: 1 done" in hardneg_process("train", "-m", *TINY, *words).stdout
    assert sweep("seed=1").stderr.count("finished already") == 1


def test_evaluations_are_swept_and_found_again_too(hardneg, sweep, tmp_path):
    hardneg("train", *TINY, "hydra.run.dir=run")
    words = [
        "evaluate",
        "-m",
        "data=toy",
        "ckpt_path=run/checkpoints/best.ckpt",
        "split=dev,test",
        "evaluate.bm25=null",
    ]
    hardneg(*words, "hydra.sweep.dir=tests")
    assert hardneg(*words, "hydra.sweep.dir=tests").stderr.count("finished already") == 2


def test_a_job_that_starts_from_a_checkpoint_is_found_again_also_after_it_was_interrupted(hardneg, sweep, tmp_path):
    hardneg("train", *TINY, "hydra.run.dir=first")
    start = ["ckpt_path=first/checkpoints/last.ckpt", "trainer.max_epochs=2"]
    sweep(*start)
    (written,) = (tmp_path / "sweep").glob("*/status.json")
    written.with_name("summary.json").unlink()  # as after a kill before the end
    written.write_text(written.read_text().replace('"done"', '"running"'))
    assert "resuming from" in sweep(*start).stderr
    assert sweep(*start).stderr.count("finished already") == 1


def test_no_other_command_writes_into_a_training_runs_folder(hardneg, tmp_path):
    hardneg("train", *TINY, "hydra.run.dir=run")
    before = (tmp_path / "run" / "summary.json").read_bytes()
    evaluate = ["evaluate", "ckpt_path=run/checkpoints/best.ckpt", "data=toy", "hydra.run.dir=run"]
    assert "it is complete, and its results are in" in hardneg(*evaluate, code=2).stderr
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_jobs_of_nothing_says_so(hardneg, tmp_path):
    assert "no such folder" in hardneg("jobs", "nowhere", code=2).stderr
    assert "no job in or below" in hardneg("jobs", str(tmp_path), code=2).stderr


@pytest.mark.slow
def test_submitit_runs_the_jobs_in_processes_of_their_own(environment, tmp_path):
    """Its local executor pickles and starts what it gives to SLURM; not from here, where pytest hooks imports."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5", "hydra.sweep.dir=sweep"]
    command = [sys.executable, "-m", "hardneg.cli", "train", "-m", *TINY, *launcher, "seed=1,2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 jobs: 2 done" in done.stdout
    assert states(tmp_path / "sweep") == {f"toy-in_batch-infonce-s{seed}": "done" for seed in (1, 2)}
    assert len(list((tmp_path / "sweep" / ".submitit").glob("*/*_result.pkl"))) == 2
