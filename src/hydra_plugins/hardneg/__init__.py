"""hardneg's launcher, where Hydra looks for it: every Hydra app of this Python imports this, so it imports little."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Processes(Launcher):
    """Runs each job of a sweep as a process of its own, `n_jobs` at a time; see `hardneg.sweep.processes`."""

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives to every launcher; the processes compose their configs themselves."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; return each one's result, or why it failed. Raises `SystemExit` after a signal."""
        from hardneg.sweep.processes import run

        return run(self.config, self.n_jobs, job_overrides, initial_job_idx)
