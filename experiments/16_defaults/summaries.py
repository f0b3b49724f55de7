"""What is read of a run that may not have been made yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def of(run: Path) -> dict[str, Any] | None:
    """The summary of a run; None where it was not made."""
    written = run / "summary.json"
    return json.loads(written.read_text(encoding="utf-8")) if written.exists() else None


def dev(run: Path) -> float | None:
    """Its best dev metric; None where it was not made."""
    summary = of(run)
    return None if summary is None else summary["dev"]["best"]
