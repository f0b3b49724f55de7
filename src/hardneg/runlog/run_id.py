"""The id under which a tracking service knows a run, kept in the run's folder for the day on which it goes on."""

from __future__ import annotations

from pathlib import Path

from hardneg.system.atomic_write import atomic_write


def read_id(file: Path) -> str | None:
    """Return the id that was written; None where there is none."""
    return (file.read_text(encoding="utf-8").strip() or None) if file.is_file() else None


def write_id(file: Path, run_id: str) -> None:
    """Write the id in one step: of a kill in between nothing would be left, and the run would begin as another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as draft:
        draft.write_text(run_id + "\n", encoding="utf-8")
