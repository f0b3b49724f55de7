"""Which jobs a sweep has, and in which folder each of them runs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hardneg.config.composition import as_in_a_job, parsed
from hardneg.config.run_identity import AUTO, BATCH, identity
from hardneg.config.run_summary import is_complete
from hardneg.errors import ConfigError
from hardneg.runs import status
from hardneg.runs.earlier_run import check_same
from hardneg.runs.folder import clear

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One job: its number, what its command line says, its config without Hydra's part, folder and name in tables."""

    number: int
    overrides: Sequence[str]
    cfg: DictConfig
    folder: Path
    name: str

    @property
    def facts(self) -> dict[str, Any]:
        """What the status in its folder says of it."""
        return {"name": self.name, "overrides": list(self.overrides), "identity": identity(self.cfg, self.folder)}


def expand(overrides: list[str]) -> list[list[str]]:
    """Turn the sweep's overrides into one list of overrides per job, as Hydra's basic sweeper does.

    Raises `ConfigError` for ranges that only a search takes.
    """
    choices = {}  # the last word of a key counts
    for override in parsed(overrides):
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise ConfigError(f"{override.input_line}: only a sweeper that chooses values itself takes this")
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [override.input_line or ""]
    return [list(job) for job in itertools.product(*choices.values())]


def compose(
    sweep: DictConfig, overrides: Sequence[str], number: int, check: Callable[[DictConfig], None] = lambda cfg: None
) -> Job:
    """Compose one job of a sweep as Hydra's launchers do, find out where it will run, and `check` its config."""
    config = GlobalHydra.instance().config_loader().load_sweep_config(sweep, list(overrides))
    with open_dict(config), read_write(config.hydra):
        config.hydra.job.num = number
        config.hydra.job.id = str(number)
    with as_in_a_job(config, "hydra.sweep.dir", "hydra.sweep.subdir") as folder:
        with open_dict(config):
            config.pop("hydra")
        OmegaConf.set_readonly(config, True)
        check(config)
        return Job(number, list(overrides), config, folder, str(config.get("run_name") or folder.name))


def check_folders(jobs: Iterable[Job]) -> None:
    """Raise `ConfigError` for two jobs in one folder, and for a folder that holds a run of another config."""
    taken: dict[Path, Job] = {}
    for job in jobs:
        if (other := taken.setdefault(job.folder, job)) is not job:
            one, two = " ".join(other.overrides), " ".join(job.overrides)
            same = identity(other.cfg) == identity(job.cfg)
            raise ConfigError(
                f"jobs {other.number} ({one}) and {job.number} ({two}) "
                + (_same(other, job) if same else f"would share {job.folder}; choose another hydra.sweep.subdir")
            )
        check_same(job.folder, job.cfg)


def _same(one: Job, other: Job) -> str:
    """Say that two jobs are the same run, and why, where only one of them names its batch."""
    if (one.cfg.get("batch_size") == AUTO) == (other.cfg.get("batch_size") == AUTO):
        return "are the same"
    auto = one if one.cfg.get("batch_size") == AUTO else other
    number = OmegaConf.select(auto.cfg, "encoder.batch_size", default=BATCH)
    return (
        f"are the same as far as can be told before they run: batch_size=auto is {number} here (encoder.batch_size), or"
        " less where there are few queries or little memory; leave one of the two out"
    )


def announce(sweep: Path, jobs: Sequence[Job]) -> None:
    """Note in the folders that their jobs wait; remove those that an earlier sweep here had planned and not begun."""
    asked = {job.folder for job in jobs}
    for written in sweep.glob(f"*/{status.FILE}"):
        folder = written.parent.resolve()
        if folder not in asked and (status.read(folder) or {}).get("state") == "waiting":
            written.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
    for job in jobs:
        found = status.read(job.folder)
        if found is None and is_complete(job.folder):
            continue
        if found is None or found["state"] in ("failed", "interrupted"):
            if found is not None and status.begins_anew(found):
                log.warning("%s failed and starts over, without its checkpoints: %s", job.name, found.get("error"))
                clear(job.folder)
            status.write(job.folder, **job.facts, state="waiting", error=None)
