"""What a run's folder says came of it: `summary.json`, its facts and results, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardneg.errors import DataError
from hardneg.system.atomic_write import atomic_write

SUMMARY = "summary.json"


def is_complete(folder: Path) -> bool:
    """Whether the run in a folder has its results: the summary comes last."""
    return (folder / SUMMARY).is_file()


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return what a run's summary says; None without one, `DataError` where it is damaged."""
    if not is_complete(folder):
        return None
    try:
        return json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except ValueError as error:
        mend = "delete it, and hardneg resume writes it again"
        raise DataError(f"{folder}: its {SUMMARY} is damaged ({error}); {mend}") from error


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write a run's facts and results, atomically: where the file is, the run is complete."""
    with atomic_write(folder / SUMMARY) as draft:
        draft.write_text(json.dumps(summary, indent=2), encoding="utf-8")
