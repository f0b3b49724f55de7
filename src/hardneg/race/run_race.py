"""A race from its first second to its end: time the arms, let them train in growing steps, train the winner anew."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from hardneg.errors import ConfigError, JobFailed
from hardneg.race.final_runs import FinalRuns, try_again
from hardneg.race.looks import Rungs
from hardneg.race.outcome import RaceOutcome
from hardneg.race.portfolio import RaceSettings
from hardneg.race.race import open_race
from hardneg.race.report import report
from hardneg.race.timing import lengths
from hardneg.runs.folder import SWEEP
from hardneg.system.atomic_write import atomic_write
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import clock

log = logging.getLogger(__name__)


def run_race(config: DictConfig, launcher: Launcher, given: Mapping[str, Any], words: Sequence[str]) -> float:
    """Run a race, or go on with it; return the dev metric of the arm that is taken.

    All of it is in the sweep's folder: `multirun.yaml` (its words), `study.log` (Optuna's), `time/`, `arms/`, `end/`,
    and `summary.json` last.
    Raises `ConfigError` for what cannot run and for a budget that is too small, `JobFailed` where the baseline failed.
    """
    plain: Any = OmegaConf.to_container(OmegaConf.create(dict(given)), resolve=False)
    settings = RaceSettings(**plain)
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _run(config, launcher, settings, words, folder)
    except JobFailed as error:
        log.error("hardneg race: %s", error)
        raise
    except (KeyboardInterrupt, SystemExit):
        log.warning("stopped; to resume, run the same command with hydra.sweep.dir=%s", folder)
        raise


def _run(config: DictConfig, launcher: Launcher, settings: RaceSettings, words: Sequence[str], folder: Path) -> float:
    race, first_seed = open_race(config, launcher, settings, words, folder)
    with atomic_write(folder / SWEEP) as draft:  # other processes may begin in it as well; a refused one leaves it
        OmegaConf.save(config, draft)
    try_again(race.record)
    log.info(
        "race in %s: %s, a budget of %s",
        folder,
        counted(len(race.entries), "arm"),
        clock(race.budget / race.executor.n_jobs),
    )
    try:
        plan = lengths(race)
    except ConfigError:  # of the budget: the same command may be given with a longer one
        race.record.refuse()
        raise
    verdict = Rungs(race, plan).run()
    outcome = RaceOutcome(race, plan, verdict)
    ends = FinalRuns(race, outcome, first_seed).run()
    with race.record.alone():
        return report(outcome, ends, first_seed)
