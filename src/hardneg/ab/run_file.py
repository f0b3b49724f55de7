"""The TREC run file that a side's path names."""

from __future__ import annotations

from pathlib import Path

from hardneg.errors import UserError


def run_file(path: Path) -> Path:
    """Return the path itself, or the run file in a folder that `train` or `evaluate` left.

    Raises `UserError` for a folder with none or several.
    """
    if path.is_file():
        return path
    runs = sorted(path.glob("*.run")) or sorted(path.glob("test/*.run"))
    if len(runs) != 1:
        what = (
            "no *.run file; a finished run has test.run"
            if not runs
            else f"several: {', '.join(str(r.relative_to(path)) for r in runs)}"
        )
        raise UserError(f"{path} holds {what}; name the run file itself")
    return runs[0]
