"""Runs that are only trials: they have no results, and nothing counts them as runs."""

from __future__ import annotations

from typing import Any


def is_trial(cfg: Any) -> bool:
    """Whether a run is a trial: one of debug=NAME, or of trainer.fast_dev_run."""
    return bool(cfg.get("debug") or (cfg.get("trainer") or {}).get("fast_dev_run"))
