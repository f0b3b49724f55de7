"""hardneg resume: the command line that continues a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg.commands import race
from hardneg.config.command_words import as_value, command_line, in_shell, key_of, quoted
from hardneg.config.composition import config_dir_words
from hardneg.config.earlier_configs import CHANGED_DEFAULTS
from hardneg.config.moved import todays_word
from hardneg.errors import ConfigError
from hardneg.runs import status
from hardneg.runs.folder import CHECKPOINTS, LAST, SWEEP
from hardneg.stages.request import again, back_to


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the command and the overrides that repeat the run in its folder, from its last checkpoint if it has one.

    Changes to the directory that the run was started in, where its relative paths start.

    A run that was killed after writing its summary.json, for example during a logger's upload, is tested again. A trial
    of a search continues as a separate run. Raises `ConfigError` for a folder without a run or with a complete one; for
    the folder of a sweep or a race, the message has the command that continues it.
    """
    parser = argparse.ArgumentParser(prog="hardneg resume", description="Resume an interrupted run.")
    parser.add_argument(
        "run",
        type=Path,
        help="run folder: outputs/..., one job of multirun/..., or the folder of a recipe in stages; for a whole sweep,"
        " search or race, the command that continues it is printed",
    )
    run: Path = parser.parse_args(arguments).run
    if (words := again(run)) is not None:
        return "stages", words
    written = run / ".hydra" / "overrides.yaml"
    if not written.exists():
        if (run / SWEEP).exists():
            raise ConfigError(_whole_sweep(run))
        raise ConfigError(f"{run} is not a run folder: it has no .hydra/overrides.yaml")
    found = status.read(run)
    if (run / "summary.json").exists() and (found is None or found["state"] not in ("interrupted", "failed")):
        if found is not None and found["state"] == "running":
            raise ConfigError(f"{run} is still running, perhaps uploading its results; wait until it ends, or stop it")
        raise ConfigError(
            f"{run} is complete: it has a summary.json; delete that to run again from the last checkpoint"
        )
    overrides = [todays_word(str(item)) for item in OmegaConf.load(written)]
    run = run.resolve()
    hydra = OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra
    back_to(str(hydra.runtime.cwd))
    last = run / CHECKPOINTS / LAST
    if last.exists():  # without a checkpoint it starts anew, and batch_size=auto is computed again
        overrides += _as_it_began(run, {key_of(word) for word in overrides})
        overrides = [item for item in overrides if not item.startswith("ckpt_path=")]
        overrides.append(f"ckpt_path={quoted(last.resolve())}")
    words = [*config_dir_words(hydra), *overrides, f"hydra.run.dir={quoted(run.resolve())}"]
    return hydra.job.config_name.replace("_", "-"), words


def _whole_sweep(folder: Path) -> str:
    """Say which command continues a sweep, a search or a race."""
    hydra: Any = OmegaConf.load(folder / SWEEP).hydra
    words = [todays_word(str(word)) for word in (*hydra.overrides.hydra, *hydra.overrides.task)]
    words = [word for word in words if not word.startswith((race.PLACE, "hydra.mode="))]
    name = str(hydra.job.config_name).replace("_", "-")
    what, start = "a sweep", [name, "-m"]
    if race.SWEEPER in words:
        words, what, start = race.as_asked(words), "a race", ["race"]
    place = f"{race.PLACE}{as_value(folder.resolve())}"
    command = command_line(*start, *config_dir_words(hydra), *words, place)
    cwd = str(hydra.runtime.cwd)
    there = "" if Path(cwd) == Path.cwd() else f"{in_shell(['cd', cwd])} && "
    return (
        f"{folder} is the folder of {what}, but hardneg resume continues a single run; to run all that is missing,"
        f" type:  {there}{command}"
    )


def _as_it_began(run: Path, given: set[str]) -> list[str]:
    """Words for settings that the run took from a default that may have changed since."""
    written = run / ".hydra" / "config.yaml"
    config = OmegaConf.load(written) if written.exists() else OmegaConf.create()
    found = {key: OmegaConf.select(config, key) for key in CHANGED_DEFAULTS if key not in given}
    return [f"{key}={value}" for key, value in found.items() if isinstance(value, int | float)]
