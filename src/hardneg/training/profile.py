"""The profile of a run that asks for one (`+trainer.profiler=simple`): where it lies, and where the time went."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
from lightning.pytorch.profilers import PassThroughProfiler, Profiler

log = logging.getLogger(__name__)
PROFILE_ROWS = 15  # of a profile that are shown


def write_profile(trainer: L.Trainer, folder: Path) -> None:
    """Have a profiler (`+trainer.profiler=simple`) write into the run's folder, where it names no file of its own.

    Lightning would write to its log, which is quiet here.
    """
    profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]
    if not isinstance(profiler, PassThroughProfiler) and profiler.filename is None:
        profiler.dirpath, profiler.filename = profiler.dirpath or folder, "profile"


def show_profile(trainer: L.Trainer) -> None:
    """Say where the profile lies, and show where most of the time went."""
    profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]
    if isinstance(profiler, PassThroughProfiler) or not trainer.is_global_zero:
        return
    for path in sorted(Path(str(profiler.dirpath)).glob(f"*-{profiler.filename}*.txt")):
        lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip("- ")]
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[:PROFILE_ROWS]]
        shown = [f"{row[0][:60]:<60}" + "".join(f"{cell:>20}" for cell in row[1:]) for row in rows]
        log.info("%s\nthe whole profile: %s", "\n".join(line.rstrip() for line in shown), path)
