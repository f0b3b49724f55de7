"""Which losses learn from the in-batch teacher, and which from the scores that come with drawn negatives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hardneg.errors import ConfigError
from hardneg.losses.base import Loss


def learns_live(name: str, loss: Loss, sources: Mapping[str, Any], giving: Collection[str]) -> bool:
    """Whether a loss takes its scores from the in-batch teacher; `giving` are the sources whose negatives bring some.

    It does where it reads in-batch negatives that have a teacher. That one scores all pairs of a step, so drawn
    negatives without a teacher of their own are scored too.

    Raises `ConfigError` where it would also read another teacher's scores, which are on another scale.
    """
    read = {key: source for key, source in sources.items() if loss.needs_teacher and loss.reads(key)}
    live = next((key for key, source in read.items() if source.teaches_live), None)
    if live is None:
        return False
    teacher = sources[live].teacher
    if others := [key for key in giving if key in read and not teacher.same_as(getattr(read[key], "teacher", None))]:
        raise ConfigError(
            f"loss={name} reads {others[0]} and {live}, whose teachers differ, and scores of two teachers cannot be"
            f" compared; give each a loss of its own: loss.{name}.sources=[{','.join(others)}]"
            f" +loss@loss.{name}_{live}={loss.key} loss.{name}_{live}.sources=[{live}]"
        )
    return True
