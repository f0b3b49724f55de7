"""A sweep whose values Optuna chooses: trials are jobs in its folder, and the study outlives an interruption."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from hardneg.errors import ConfigError, JobFailed
from hardneg.runs import status
from hardneg.runs.folder import BEST_TRIAL, SWEEP
from hardneg.runs.study import PRUNERS, SAMPLERS, check_optuna, open_study
from hardneg.sweep.check_jobs import check_job
from hardneg.sweep.jobs import Job, announce, compose
from hardneg.sweep.search_hold import held
from hardneg.sweep.search_space import space_of

log = logging.getLogger(__name__)

DONE = ("done", "pruned", "failed")
PLACE = "place"  # of a trial: the name of the search that runs it


@dataclass(frozen=True)
class SearchSettings:
    """What `conf/hydra/sweeper/optuna.yaml` says; raises `ConfigError` for settings out of range."""

    n_trials: int = 20
    n_jobs: int = 1
    sampler: str = "tpe"
    seed: int = 1
    pruner: str = "none"
    warmup_evaluations: int = 2
    storage: str | None = None
    study: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("n_trials", "n_jobs"):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < 1:
                raise ConfigError(f"hydra.sweeper.{key}={getattr(self, key)} must be a whole number, 1 or more")
        for key, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, key) not in known:
                raise ConfigError(
                    f"hydra.sweeper.{key}={getattr(self, key)} is not known; there are {', '.join(known)}"
                )


def search(config: DictConfig, launcher: Launcher, settings: SearchSettings, words: Sequence[str]) -> float | None:
    """Run trials until `n_trials` are told; return the best dev metric.

    A trial that was interrupted is run again, and its run goes on from its checkpoint: the same values are the same
    job. Raises `JobFailed` at the end where a trial failed, `ConfigError` where another process searches in the folder.
    """
    check_optuna()  # first: the search space is made of its distributions
    listed = [f"{key}={value}" for key, value in settings.params.items()]
    space, same = space_of([*listed, *words])
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {key: value for key, value in asdict(settings).items() if key != "params"}
    check = partial(check_job, launcher=config.hydra.launcher)
    with held(folder) as own:
        OmegaConf.save(config, folder / SWEEP)
        study = open_study(facts, folder)
        ask_again(study, own, shared=settings.storage is not None)
        while (left := settings.n_trials - len(told(study))) > 0:
            batch = []
            for _ in range(min(settings.n_jobs, left)):
                trial = study.ask(space)
                trial.set_user_attr(PLACE, own)
                chosen = [*same, *(f"{key}={value}" for key, value in trial.params.items())]
                batch.append((trial, compose(config, chosen, trial.number, check)))
            run_batch(launcher, batch, facts)
            for trial, job in batch:
                tell(study, trial, job)
        return finish(study, folder)


def run_batch(launcher: Launcher, batch: Sequence[tuple[Any, Job]], facts: dict[str, Any]) -> None:
    """Run the trials that are not done; trials with the same values are one job."""
    jobs = {job.folder: (trial, job) for trial, job in batch if not is_done(job)}
    for trial, job in jobs.values():
        announce(job.folder.parent, [job])
        status.write(job.folder, search={**facts, "trial": trial.number})
        log.info("trial %d: %s", trial.number, " ".join(f"{key}={value}" for key, value in trial.params.items()))
    if jobs:
        first = min(trial.number for trial, _ in jobs.values())
        launcher.launch([list(job.overrides) for _, job in jobs.values()], initial_job_idx=first)


def is_done(job: Job) -> bool:
    """Whether the job has ended with a result; one that failed is tried anew."""
    return (status.read(job.folder) or {}).get("state") in ("done", "pruned")


def tell(study: Any, trial: Any, job: Job) -> None:
    """Tell the study the outcome of a trial; one that was interrupted stays open."""
    from optuna.trial import TrialState

    found = status.read(job.folder) or {}
    state, value = found.get("state"), found.get("result")
    if state == "done" and value is not None:
        study.tell(trial, float(value))
    elif state == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    elif state in DONE:
        trial.set_user_attr("failed", str(found.get("error") or "no dev metric: split.dev is null"))
        study.tell(trial, state=TrialState.FAIL)
    else:
        raise JobFailed(f"trial {trial.number} was interrupted; the same command resumes it")


def told(study: Any) -> list[Any]:
    """The trials that have ended, including those that failed by themselves."""
    from optuna.trial import TrialState

    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    return [one for one in ended if one.state != TrialState.FAIL or "failed" in one.user_attrs]


def ask_again(study: Any, own: str, shared: bool) -> None:
    """Put the trials that a killed search left open at the head of the queue, with the values they had.

    Of a `shared` study these are the trials of this search, by its `own` name: others are at work elsewhere.
    """
    from optuna.trial import TrialState

    for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if shared and one.user_attrs.get(PLACE) != own:
            continue
        study.tell(one.number, state=TrialState.FAIL)
        study.enqueue_trial(one.params, skip_if_exists=False)


def finish(study: Any, folder: Path) -> float | None:
    """Say which trial was best, and write its words into best.yaml."""
    ended = told(study)
    failed = [one for one in ended if "failed" in one.user_attrs]
    complete = [one for one in ended if one.value is not None and one not in failed]
    if complete:
        best = study.best_trial
        words = [f"{key}={value}" for key, value in best.params.items()]
        found = {"trial": best.number, "trials": len(ended), "dev": best.value, "overrides": words}
        OmegaConf.save(found, folder / BEST_TRIAL)
        log.info("best of %d trials: number %d, dev %.4f, by %s", len(ended), best.number, best.value, " ".join(words))
    if failed:
        raise JobFailed(f"{len(failed)} trials failed")
    return float(study.best_value) if complete else None
