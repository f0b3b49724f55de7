"""hardneg's plug-ins, where Hydra looks for them: every Hydra app of this Python imports this, so it imports little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Processes(Launcher):
    """Runs each job of a sweep as a process of its own, `n_jobs` at a time; see `hardneg.sweep.processes`.

    Each gets its share of the machine: of the jobs that are launched together, or where `always_shared` is set, as by a
    race, of `n_jobs`, so that a job's threads and devices are the same whatever is launched beside it.
    """

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs, self.always_shared = n_jobs, False

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives to every launcher; the processes compose their configs themselves."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; return each one's result, or why it failed. Raises `SystemExit` after a signal."""
        from hardneg.sweep.processes import run

        shares = self.n_jobs if self.always_shared else min(self.n_jobs, len(job_overrides))
        return run(self.config, self.n_jobs, job_overrides, initial_job_idx, shares)


class OverLauncher(Sweeper):
    """A sweeper that starts its jobs by the launcher that was chosen; a base, which Hydra leaves alone: no `sweep`."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives to every sweeper."""
        self.config: DictConfig = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )


class Race(OverLauncher):
    """Lets strategies race within a budget of time; see `hardneg.race`."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the race; return the dev metric of the arm that is taken. Raises `JobFailed` where it cannot end."""
        from hardneg.race.run_race import run_race

        return run_race(self.config, self.launcher, self.settings, arguments)


class Studies(SearchPathPlugin):
    """Lets hardneg's commands find the yamls of packages of one's own; see `hardneg.config.studies`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the packages' folders behind hardneg's own; other apps' search paths are left alone."""
        if any(element.path == "pkg://hardneg.conf" for element in search_path.get_path()):
            from hardneg.config import studies

            for package, folder in studies.conf_folders().items():
                search_path.append(package, f"file://{folder}")


class Optuna(OverLauncher):
    """Lets Optuna choose the values of a sweep, trial by trial; see `hardneg.sweep.search`."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the trials; return the best dev metric. Raises `JobFailed` where trials failed."""
        from hardneg.sweep.search import SearchSettings, search

        return search(self.config, self.launcher, SearchSettings(**self.settings), arguments)
