"""Whether this process is the first rank, as Lightning's loggers ask: by its launcher, before ranks are joined."""

from __future__ import annotations

from lightning.pytorch.utilities.rank_zero import rank_zero_only


def is_first_rank() -> bool:
    """Whether this process is the one that logs."""
    return getattr(rank_zero_only, "rank", 0) == 0  # which Lightning sets; type checkers know of no such attribute
