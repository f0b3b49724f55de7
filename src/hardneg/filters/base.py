"""What every candidate filter has: one rule, the same on mined lists and on live batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool, Int
from torch import Tensor

from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.matrix.candidates import Candidates

AT = ("both", "mined", "live")
REDUCE = ("min", "mean", "max")


class CandidateFilter(ABC):
    """Says which candidates to keep; what it says of positives is ignored.

    `at` says where the rule is applied: to `mined` lists, whose scores are the miner's, to `live` batches, whose scores
    are the model's of this step, or to `both`. `needs_teacher`: reads teacher scores, and keeps what has none. It
    judges the candidates of these `sources`; empty: of all.

    Raises `ConfigError` for another `at`.
    """

    at: str = "both"
    needs_teacher: bool = False
    sources: Sequence[str] = ()

    def __init__(self, at: str = "both") -> None:
        if at not in AT:
            raise ConfigError(f"at must be one of {', '.join(AT)}, got {at!r}")
        self.at = at

    def prepare(self, training: TrainingSet) -> None:  # noqa: B027  (most rules need nothing)
        """Build what the rule looks up in the data; called once, before the first candidates."""

    @abstractmethod
    def __call__(self, c: Candidates, positive_ids: Int[Tensor, "B P"]) -> Bool[Tensor, "B N"]:
        """Return True where the candidate may serve as a negative."""

    def identity(self) -> dict[str, Any]:
        """The settings, as plain values: part of a store's fingerprint."""
        settings = {key: value for key, value in vars(self).items() if not key.startswith("_") and key != "at"}
        return {"filter": type(self).__qualname__, **settings}


def prepared(filters: dict[str, CandidateFilter], training: TrainingSet) -> dict[str, CandidateFilter]:
    """Let filters build what they look up in the data, and return them."""
    for rule in filters.values():
        rule.prepare(training)
    return filters


def judged_sources(names: Sequence[str] | None) -> list[str] | None:
    """Return the sources that a rule judges, null for all; raises `ConfigError` for a name alone, and for none."""
    if isinstance(names, str):
        raise ConfigError(f"sources is a list, so write [{names}]")
    if names is not None and not names:
        raise ConfigError("sources=[] judges nothing: leave sources out for the default, or the filter")
    return None if names is None else list(names)


def check_reduce(which: str) -> None:
    """Raise `ConfigError` unless `which` is a way to take several positives as one."""
    if which not in REDUCE:
        raise ConfigError(f"positive must be one of {', '.join(REDUCE)}, got {which!r}")
