"""hardneg resume: the command line that continues a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg.commands import race
from hardneg.config import started_with
from hardneg.config.command_words import as_value, command_line, command_named, in_shell, key_of, plain, quoted
from hardneg.config.composition import config_dir_words
from hardneg.config.run_summary import SUMMARY, is_complete, read_summary
from hardneg.errors import ConfigError
from hardneg.runs import status
from hardneg.runs.folder import CHECKPOINTS, LAST, SWEEP
from hardneg.stages.request import again, back_to
from hardneg.sweep.outcome import next_step

LONGER = {f"trainer.max_{what}" for what in ("epochs", "steps", "time")}  # what may train a run on, not another one
CKPT_PATH, RUN_DIR = "ckpt_path", "hydra.run.dir"
KEPT = "with the arguments it was started with"


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the command and the overrides that repeat the run in its folder, from its last checkpoint if it has one.

    Changes to the directory that the run was started in, where its relative paths start.

    A run that was killed after writing its summary.json, for example during a logger's upload, is tested again. A trial
    of a search continues as a separate run. Raises `ConfigError` for a folder without a run or with a complete one; for
    the folder of a sweep or a race, the message has the command that continues it; for words that would change a run,
    the command that begins another one.
    """
    parser = argparse.ArgumentParser(prog="hardneg resume", description="Resume an interrupted run.")
    parser.add_argument(
        "run",
        type=Path,
        help="run folder: outputs/..., one job of multirun/..., or the folder of a multi-stage recipe; for a whole"
        " sweep, search or race, the command that continues it is printed",
    )
    parser.add_argument("more", nargs="*", help=argparse.SUPPRESS)  # refused in words that help
    run, changes = _run_and_changes(parser.parse_args(arguments))
    staged = again(run)
    if staged is None and not (run / started_with.WORDS).exists():
        if (run / SWEEP).exists():
            raise ConfigError(_whole_sweep(run, changes))
        raise ConfigError(f"{run} is not a run folder: it has no {started_with.WORDS}")
    if changes:
        other = f"it resumes {KEPT}" if staged is not None else _another_run(run, changes)
        raise ConfigError(f"{' '.join(changes)}: {other}")
    if staged is not None:
        return "stages", staged
    found = status.read(run)
    if is_complete(run) and (found is None or found["state"] not in ("interrupted", "failed")):
        if found is not None and found["state"] == "running":
            raise ConfigError(f"{run} is still running, perhaps uploading its results; wait until it ends, or stop it")
        raise ConfigError(f"{run} is complete: it has a {SUMMARY}; delete that to run again from the last checkpoint")
    run = run.resolve()
    hydra = _hydra_of(run)
    back_to(str(hydra.runtime.cwd))
    words = [*config_dir_words(hydra), *_from_last(run, started_with.words_of(run)), f"{RUN_DIR}={quoted(run)}"]
    return command_named(hydra.job.config_name), words


def _run_and_changes(given: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the folder that is to be resumed, and words KEY=VALUE beside it; raises `ConfigError` for two folders."""
    words = [str(given.run), *given.more]
    changes = [word for word in words if "=" in word and not Path(word).exists()]
    folders = [word for word in words if word not in changes]
    if len(folders) != 1:
        raise ConfigError(f"give one folder to resume, got {', '.join(folders) or 'none'}")
    return Path(folders[0]), changes


def _hydra_of(run: Path) -> Any:
    return started_with.of_hydra(run, "hydra")


def _from_last(run: Path, words: list[str]) -> list[str]:
    """Return the words of a run with those by which it goes on from its last checkpoint, if it has one."""
    last = run / CHECKPOINTS / LAST
    if not last.exists():  # without one it begins anew, and finds its batch anew
        return words
    words = [*words, *_as_it_began(run, {key_of(word) for word in words})]
    return [*(word for word in words if key_of(word) != CKPT_PATH), f"{CKPT_PATH}={quoted(last.resolve())}"]


def _another_run(run: Path, changes: Sequence[str]) -> str:
    """Say by which command another run begins with these words: from this one's end where they only make it longer."""
    hydra = _hydra_of(run)
    changed = {key_of(word) for word in changes}
    inside = tuple(f"{key}." for key in changed)  # settings of an option that is not chosen any more
    begun = [w for w in started_with.words_of(run) if key_of(w) not in changed and not key_of(w).startswith(inside)]
    words = [*begun, *(_from_here(word, hydra) for word in changes)]
    longer = changed <= LONGER and (run / CHECKPOINTS / LAST).exists()
    words = _from_last(run, words) if longer else words
    place = [] if RUN_DIR in changed else [f"{RUN_DIR}=NEW"]
    command = command_line(command_named(hydra.job.config_name), *config_dir_words(hydra), *map(plain, words), *place)
    begins = "that trains on from its last checkpoint, in its own folder" if longer else "from the start"
    return f"a run resumes {KEPT}; with these, start another run {begins}:  {_there(hydra)}{command}"


def _from_here(word: str, hydra: Any) -> str:
    """Return a word whose path is relative to the current folder so that it leads there from the run's, too."""
    key, equals, value = word.partition("=")
    here = value and not Path(value).is_absolute() and Path(value).exists() and _there(hydra)
    return f"{key}{equals}{quoted(Path(value).resolve())}" if here else word


def _there(hydra: Any) -> str:
    """What goes before a command that has to be given where something was started; empty where we are there."""
    cwd = str(hydra.runtime.cwd)
    return "" if Path(cwd) == Path.cwd() else f"{in_shell(['cd', cwd])} && "


def _whole_sweep(folder: Path, changes: Sequence[str]) -> str:
    """Say which command continues a sweep, a search or a race, or that it is done and what to do with it.

    `changes` were asked for and are not among the words of that command.
    """
    from hardneg.sweep.jobs_table import rows  # which draws tables

    hydra: Any = OmegaConf.load(folder / SWEEP).hydra
    words = [str(word) for word in (*hydra.overrides.hydra, *hydra.overrides.task)]
    words = [word for word in words if not word.startswith((race.PLACE, "hydra.mode="))]
    what, start = "a sweep", [command_named(hydra.job.config_name), "-m"]
    if race.SWEEPER in words:
        words, what, start = race.as_asked(words), "a race", ["race"]
    said = f"{' '.join(changes)}: it resumes {KEPT}; " if changes else ""
    said += f"{folder} is the folder of {what}"
    results = _verdict(folder) if what == "a race" else next_step(folder, rows(folder))
    if results is not None:
        return f"{said}, which is done; {results}"
    place = f"{race.PLACE}{as_value(folder.resolve())}"
    command = command_line(*start, *config_dir_words(hydra), *words, place)
    return f"{said}, but hardneg resume continues a single run; to run what is missing, type:  {_there(hydra)}{command}"


def _verdict(folder: Path) -> str | None:
    """Say where the verdict of a race is; None where something is left to run."""
    summary = read_summary(folder)  # the last that a race writes
    if summary is None or summary.get("failed_at_the_end"):
        return None
    return f"its verdict is in {folder / SUMMARY}; to compare its final runs: {command_line('compare', folder / 'end')}"


def _as_it_began(run: Path, given: set[str]) -> list[str]:
    """Words for settings that the run took from a default, which another version may have changed."""
    config = started_with.config_of(run) or OmegaConf.create()
    found = {key: OmegaConf.select(config, key) for key in started_with.MAY_CHANGE if key not in given}
    return [f"{key}={value}" for key, value in found.items() if isinstance(value, int | float)]
