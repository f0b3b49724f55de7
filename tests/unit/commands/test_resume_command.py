"""What goes on with a run is the run as it was begun, whatever the defaults have become."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hardneg.commands.resume import command_of
from hardneg.errors import ConfigError
from hardneg.runs import status


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder that Hydra has written; the working directory is set back."""
    monkeypatch.chdir(tmp_path)
    hydra = tmp_path / "run" / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text("- data=toy\n- seed=2\n")
    (hydra / "config.yaml").write_text("batch_size: 64\nseed: 2\n")
    (hydra / "hydra.yaml").write_text(
        f"hydra:\n  job: {{config_name: train}}\n  runtime: {{cwd: {tmp_path}, config_sources: []}}\n"
    )
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    return tmp_path / "run"


def test_a_default_that_has_changed_is_kept_as_the_run_had_it(run):
    command, words = command_of([str(run)])
    assert command == "train" and words[:3] == ["data=toy", "seed=2", "batch_size=64"]


def test_a_rate_that_was_a_number_once_or_was_found_stays_that_number(run):
    (run / ".hydra" / "config.yaml").write_text("batch_size: 64\nencoder: {lr: 0.01}\n")
    assert command_of([str(run)])[1][2:4] == ["batch_size=64", "encoder.lr=0.01"]
    (run / ".hydra" / "config.yaml").write_text("batch_size: 64\nencoder: {lr: auto}\n")
    assert not [word for word in command_of([str(run)])[1] if word.startswith("encoder.lr")]


def test_what_was_given_is_given_again_alone(run):
    (run / ".hydra" / "overrides.yaml").write_text("- data=toy\n- batch_size=8\n")
    assert [word for word in command_of([str(run)])[1] if word.startswith("batch_size=")] == ["batch_size=8"]


def another(run, *changes):
    """The command that a refusal of these words ends with."""
    with pytest.raises(ConfigError) as refused:
        command_of([str(run), *changes])
    said = str(refused.value)
    assert said.startswith(f"{' '.join(changes)}: a run resumes with the arguments it was started with; ")
    assert "\n" not in said
    return said.split(":  ")[1]


def test_words_that_would_change_a_run_are_refused_with_the_command_that_begins_another_one(run, tmp_path, monkeypatch):
    begun = "hardneg train data=toy seed=2"
    assert another(run, "seed=3") == "hardneg train data=toy seed=3 hydra.run.dir=NEW", "not from a seed's weights"
    last = f"batch_size=64 ckpt_path={run}/checkpoints/last.ckpt hydra.run.dir=NEW"
    assert another(run, "trainer.max_epochs=9") == f"{begun} trainer.max_epochs=9 {last}", "it only lasts longer"
    assert another(run, "trainer.max_epochs=9", "seed=3").endswith(
        "data=toy trainer.max_epochs=9 seed=3 hydra.run.dir=NEW"
    )
    assert another(run, "hydra.run.dir=mine") == f"{begun} hydra.run.dir=mine"
    assert another(run, "ckpt_path=other.ckpt") == f"{begun} ckpt_path=other.ckpt hydra.run.dir=NEW"
    (run / ".hydra" / "overrides.yaml").write_text("- data=toy\n- encoder.dim=8\n")
    assert another(run, "encoder=minilm") == "hardneg train data=toy encoder=minilm hydra.run.dir=NEW"
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.csv").touch()
    monkeypatch.chdir(tmp_path / "below")
    there = (
        f"cd {tmp_path} && hardneg train data=toy encoder.dim=8 data.path={tmp_path}/below/mine.csv hydra.run.dir=NEW"
    )
    assert another(run, "data.path=mine.csv") == there
    (run / "checkpoints" / "last.ckpt").unlink()
    assert another(run, "trainer.max_epochs=9").endswith("encoder.dim=8 trainer.max_epochs=9 hydra.run.dir=NEW")


def test_what_is_resumed_is_one_folder(run, tmp_path, capsys):
    for folders in ([str(run), "other"], ["seed=3"]):
        with pytest.raises(ConfigError, match="give one folder to resume, got"):
            command_of(folders)
    with pytest.raises(ConfigError, match="is not a run folder"):
        command_of([str(tmp_path / "nothing"), "seed=3"])
    with pytest.raises(SystemExit):
        command_of([str(run), "--fast"])
    assert "unrecognized arguments: --fast" in capsys.readouterr().err


def test_a_number_that_was_never_found_is_found_then(run):
    (run / ".hydra" / "config.yaml").write_text("batch_size: auto\n")
    assert command_of([str(run)])[1][:2] == ["data=toy", "seed=2"]


def test_a_run_without_a_checkpoint_begins_anew_and_finds_its_batch_anew(run):
    (run / "checkpoints" / "last.ckpt").unlink()
    assert command_of([str(run)])[1][:2] == ["data=toy", "seed=2"]
    assert not [word for word in command_of([str(run)])[1] if word.startswith(("batch_size=", "ckpt_path="))]


def test_a_run_that_is_still_at_work_after_its_summary_is_not_complete(run):
    (run / "summary.json").write_text("{}")
    status.write(run, state="running")
    with status.held(run), pytest.raises(ConfigError, match=r"is still running.*; wait until it ends, or stop it$"):
        command_of([str(run)])


def test_a_run_that_was_killed_after_its_summary_goes_on_and_a_finished_one_is_complete(run):
    (run / "summary.json").write_text("{}")
    for state in (None, "done"):
        if state is not None:
            status.write(run, state=state)
        with pytest.raises(ConfigError, match="is complete"):
            command_of([str(run)])
    for state in ("running", "interrupted", "failed"):  # nobody holds the lock: a run that is said to run was killed
        status.write(run, state=state)
        assert command_of([str(run)])[0] == "train"


def test_a_run_goes_on_where_the_directory_that_it_was_started_in_is_not_there(run, tmp_path, capsys):
    written = run / ".hydra" / "hydra.yaml"
    written.write_text(written.read_text().replace(f"cwd: {tmp_path}", f"cwd: {tmp_path}/gone"))
    assert command_of([str(run)])[1][-1] == f"hydra.run.dir='{run}'" and Path.cwd() == tmp_path
    assert f"{tmp_path}/gone, which cannot be entered (No such file or directory)" in capsys.readouterr().err


def sweep(folder, hydra, task, cwd, name="train"):
    """The folder of a sweep as Hydra leaves it."""
    folder.mkdir()
    overrides = {"hydra": [*hydra, "hydra.sweep.dir=elsewhere", "hydra.mode=MULTIRUN"], "task": task}
    runtime = {"cwd": str(cwd), "config_sources": []}
    written = {"hydra": {"job": {"config_name": name}, "overrides": overrides, "runtime": runtime}}
    OmegaConf.save(written, folder / "multirun.yaml")
    return folder


@pytest.mark.parametrize(
    ("name", "hydra", "task", "command"),
    [
        ("train", ["hydra.sweeper.n_trials=9"], ["data=toy", "hparams_search=static"],
         "hardneg train -m hydra.sweeper.n_trials=9 data=toy hparams_search=static"),
        ("evaluate", [], ["data=toy,pydocs", "negatives=[bm25]"],
         "hardneg evaluate -m data=toy,pydocs 'negatives=[bm25]'"),
        ("train", ["hydra/sweeper=race", "hydra.sweeper.budget=30m"], ["data=toy", "race=small"],
         "hardneg race budget=30m data=toy race=small"),
        ("train", ["hydra/sweeper=race", "hydra.sweeper.budget=9m", "hydra.sweeper.arms.bm25=null"], ["data=toy"],
         "hardneg race budget=9m hydra.sweeper.arms.bm25=null data=toy"),
    ],
)  # fmt: skip
def test_the_folder_of_a_sweep_or_a_race_is_refused_with_the_command_that_goes_on(
    name, hydra, task, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = sweep(tmp_path / "all", hydra, task, tmp_path, name)
    with pytest.raises(ConfigError) as refused:
        command_of([str(folder)])
    what = "a race" if "race" in command else "a sweep"
    assert str(refused.value).startswith(f"{folder} is the folder of {what}, ")
    assert str(refused.value).endswith(f":  {command} hydra.sweep.dir={folder}")


def test_a_sweep_that_was_started_elsewhere_goes_on_there(tmp_path):
    with pytest.raises(ConfigError, match=rf"  cd {tmp_path} && hardneg train -m data=toy hydra\.sweep\.dir="):
        command_of([str(sweep(tmp_path / "all", [], ["data=toy"], tmp_path))])


def refused(folder, *changes):
    with pytest.raises(ConfigError) as error:
        command_of([str(folder), *changes])
    return str(error.value)


def test_a_sweep_that_is_done_says_so_and_how_its_runs_are_compared(tmp_path):
    folder = sweep(tmp_path / "all", [], ["data=toy", "seed=1,2"], tmp_path)
    status.write(folder / "one", name="one", state="done")
    status.write(folder / "two", name="two", state="interrupted")
    assert "to run what is missing" in refused(folder)
    status.write(folder / "two", state="done")
    done = f"{folder} is the folder of a sweep, which is done; "
    assert refused(folder) == f"{done}which is better: hardneg compare {folder}"
    assert refused(folder, "seed=7") == f"seed=7: it resumes with the arguments it was started with; {refused(folder)}"
    evaluated = sweep(tmp_path / "evaluated", [], ["data=toy,pydocs"], tmp_path, "evaluate")
    status.write(evaluated / "one", name="one", state="done")
    assert refused(evaluated).endswith(f"which is done; its jobs: hardneg jobs {evaluated}")


def test_a_search_is_done_when_as_many_trials_have_ended_as_it_was_asked_for(tmp_path):
    folder = sweep(tmp_path / "all", [], ["data=toy"], tmp_path)
    written = OmegaConf.load(folder / "multirun.yaml")
    OmegaConf.save(OmegaConf.merge(written, {"hydra": {"sweeper": {"n_trials": 3}}}), folder / "multirun.yaml")
    for name, state in (("one", "done"), ("two", "pruned")):
        status.write(folder / name, name=name, state=state)
    for best in (None, "trial: 1\ntrials: 2\n"):
        if best is not None:
            (folder / "best.yaml").write_text(best)
        assert "to run what is missing" in refused(folder)
    (folder / "best.yaml").write_text("trial: 1\ntrials: 3\n")
    best = f"its best trial is in {folder}/best.yaml, chosen by dev: train it on several seeds beside a baseline"
    said = f"{best}; all trials: hardneg jobs {folder}"
    assert refused(folder).endswith(f"which is done; {said}")
    status.write(folder / "two", state="failed")
    failed = "which is done; 1 of its trials failed, and none is tried again; "
    assert refused(folder).endswith(f"{failed}{said}")
    (folder / "best.yaml").unlink()
    for name in ("one", "three"):
        status.write(folder / name, name=name, state="failed")
    assert refused(folder).endswith(f"{failed.replace('1', '3')}all trials: hardneg jobs {folder}")


def test_a_race_is_done_when_it_has_its_verdict_and_no_run_to_try_again(tmp_path):
    folder = sweep(tmp_path / "all", ["hydra/sweeper=race", "hydra.sweeper.budget=30m"], ["data=toy"], tmp_path)
    assert "to run what is missing" in refused(folder)
    (folder / "summary.json").write_text('{"failed_at_the_end": {"bm25-s3": "no memory"}}')
    assert "to run what is missing" in refused(folder)
    (folder / "summary.json").write_text('{"failed_at_the_end": {}}')
    said = f"its verdict is in {folder}/summary.json; to compare its final runs: hardneg compare {folder}/end"
    assert refused(folder) == f"{folder} is the folder of a race, which is done; {said}"
