"""The request for a recipe: noted in its folder, so that it can be resumed from anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from hardneg.errors import ConfigError
from hardneg.stages.recipe import LIST, StagesPlan

PLACE = "hydra.run.dir="


def note(plan: StagesPlan, arguments: Sequence[str]) -> None:
    """Write what was asked for, and where, for `again`; raises `ConfigError` for the folder of a run."""
    if (plan.folder / ".hydra").exists():
        raise ConfigError(f"{plan.folder} is the folder of a run; give another hydra.run.dir for the stages")
    plan.folder.mkdir(parents=True, exist_ok=True)
    words = [word for word in arguments if not word.startswith(PLACE)]
    unfinished = plan.folder / f".{LIST}"
    OmegaConf.save({"arguments": words, "cwd": os.getcwd()}, unfinished)
    unfinished.replace(plan.folder / LIST)


def again(folder: Path) -> list[str] | None:
    """Return the arguments that go on with the stages in a folder, or None if it has none.

    Changes to the directory that they were started in, where relative paths start.
    """
    if not (folder / LIST).exists():
        return None
    folder = folder.resolve()
    written = OmegaConf.load(folder / LIST)
    back_to(str(written.cwd))
    return [*written.arguments, f"{PLACE}'{folder}'"]


def back_to(started_in: str) -> None:
    """Change to the directory that something was started in, where its relative paths start.

    Stays here, and logs that, where it does not exist, as after a move to another machine.
    """
    try:
        os.chdir(started_in)
    except OSError as error:
        sys.stderr.write(
            f"hardneg resume: it was started in {started_in}, which cannot be entered ({error.strerror}); relative"
            f" paths start in {Path.cwd()} now\n"
        )
