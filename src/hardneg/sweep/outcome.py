"""What to do with a sweep or a search that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from hardneg.config.command_words import command_line
from hardneg.runs.folder import BEST_TRIAL, SWEEP

if TYPE_CHECKING:
    from hardneg.sweep.jobs_table import JobRow


def next_step(folder: Path, jobs: Sequence[JobRow]) -> str | None:
    """Say what to do with its results; None where the command that it was begun with would run something.

    A search ends by the number of its trials, and tries none again that failed; a sweep tries its failed jobs again.
    """
    hydra: Any = OmegaConf.load(folder / SWEEP).hydra
    states = [job.state for job in jobs]
    if trials := OmegaConf.select(hydra, "sweeper.n_trials"):
        return _of_search(folder, states, trials)
    if {*states} != {"done"}:
        return None
    if str(hydra.job.config_name).startswith("train"):
        return f"which is better: {command_line('compare', folder)}"
    return f"its jobs: {command_line('jobs', folder)}"


def _of_search(folder: Path, states: Sequence[str], trials: int) -> str | None:
    best, failed = folder / BEST_TRIAL, states.count("failed")
    written: Any = OmegaConf.load(best) if best.exists() else {"trials": failed}  # no file where all have failed
    ended = written["trials"]
    if ended < trials or not {*states} <= {"done", "pruned", "failed"}:
        return None
    said = [f"{failed} of its trials failed, and none is tried again"] if failed else []
    if best.exists():
        said.append(f"its best trial is in {best}, chosen by dev: train it on several seeds beside a baseline")
    return "; ".join([*said, f"all trials: {command_line('jobs', folder)}"])
