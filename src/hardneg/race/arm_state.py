"""What a race's record knows of one arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from hardneg.race.budget import Timing

NAME, TIMING, IDENTITY, ERROR, SECONDS = "arm", "timing", "identity", "failed", "seconds_"  # attributes of its trial
SECONDS_AT_THE_END = f"{SECONDS}end_"  # attributes of the race: what each run at the end took


@dataclass(frozen=True)
class ArmState:
    """How far an arm has come.

    `state` is that of its trial in the study, `dev` its best dev mean by rung, `seconds` what it took to each rung (0:
    what timing it took). `timing` and `identity` are known once it is timed, `error` is that of an arm which failed.
    """

    state: TrialState
    dev: Mapping[int, float]
    seconds: Mapping[int, float]
    timing: Timing | None
    identity: str | None
    error: str | None

    @classmethod
    def of(cls, trial: FrozenTrial) -> ArmState:
        """Read it from its trial."""
        attrs = trial.user_attrs
        seconds = {int(key.removeprefix(SECONDS)): value for key, value in attrs.items() if key.startswith(SECONDS)}
        timing = Timing(**attrs[TIMING]) if TIMING in attrs else None
        facts = timing, attrs.get(IDENTITY), attrs.get(ERROR)
        return cls(trial.state, trial.intermediate_values, seconds, *facts)

    @property
    def failed(self) -> bool:
        """Whether it could not go on."""
        return self.error is not None

    @property
    def standing(self) -> tuple[int, float]:
        """The last rung that it has come to, and its dev there; 0 and 0 before the first."""
        rung = max(self.dev, default=0)
        return rung, self.dev.get(rung, 0.0)
