"""How a run ends when its first rank has lost another: that one was killed, or it failed."""

from __future__ import annotations

from pathlib import Path

from hardneg.errors import RankLost, UserError
from hardneg.runs import status


def note_failure(folder: Path, line: str) -> None:
    """Say in the run folder, by a rank above 0, that it has failed; the first rank only sees it gone.

    Nothing is noted where the first rank has removed the folder, as of a run that was refused.
    """
    if status.read(folder) is not None:
        status.write(folder, state="failed", error=line)


def noted(folder: Path, error: UserError) -> UserError:
    """Note in the folder what ended the run, and return it: this error, unless more is known of a `RankLost`.

    A rank that failed has said so (`note_failure`): the run has failed with it. One that was killed says nothing: the
    run was interrupted, and has failed only where it was interrupted so at the same step before.
    """
    if not isinstance(error, RankLost):
        status.write(folder, state="failed", error=str(error))
        return error
    found = status.read(folder) or {}
    if found.get("state") == "failed":
        return UserError(f"another rank of this run has failed: {found['error']}")
    step = found.get("step", 0)
    if found.get("lost_at") == step:
        twice = UserError(
            f"another rank of this run was lost twice at step {step}: it may have been killed for want of memory;"
            " hardneg resume RUN tries it again, a sweep's command begins anew"
        )
        status.write(folder, state="failed", error=str(twice), lost_at=None)
        return twice
    status.write(folder, state="interrupted", error=str(error), lost_at=step)
    return error
