"""The arms of a race, and the words of the command lines that run them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hardneg.config.command_words import command_line, key_of
from hardneg.config.composition import parsed
from hardneg.errors import ConfigError
from hardneg.race.decide import Rules

OWN = {
    "trainer.max_steps": "the budget sets the lengths", "trainer.max_epochs": "the budget sets the lengths",
    "evaluate.every_n_steps": "the rungs say when dev is evaluated",
    "evaluate.every_n_epochs": "the rungs say when dev is evaluated",
    "ckpt_path": "a race begins anew", "run_name": "runs are named after the arms",
    "strategy_name": "runs are named after the arms", "debug": "a trial has no results",
}  # fmt: skip
ENDLESS = 1_000_000  # steps of a run that is only timed
QUIET = "+hydra.job_logging.handlers.console.level=ERROR"  # a run has its own log, with its alarms


def run_name(arm: str, seed: int) -> str:
    """Name a run at the end, as its folder and the race's record do."""
    return f"{arm}-s{seed}"


@dataclass(frozen=True)
class RaceSettings:
    """What `conf/hydra/sweeper/race.yaml` says; raises `ConfigError` for settings out of range."""

    budget: str | None = None
    arms: Mapping[str, Any] = field(default_factory=dict)
    baseline: str = "in_batch"
    rungs: int = 4
    growth: int = 2
    keep: float = 0.5
    alpha: float = 0.05
    seeds: int = 3
    storage: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        if self.budget is None:
            raise ConfigError("a race needs a time budget: give budget=30m")
        for key, least in (("rungs", 1), ("growth", 2), ("seeds", 1)):
            if not isinstance(getattr(self, key), int) or getattr(self, key) < least:
                raise ConfigError(f"{key}={getattr(self, key)} must be a whole number, {least} or more")
        for key, most in (("alpha", 0.5), ("keep", 1)):
            if not isinstance(getattr(self, key), int | float) or not 0 < getattr(self, key) <= most:
                raise ConfigError(f"{key}={getattr(self, key)} is a share: above 0, at most {most}")

    def rules(self, arms: int) -> Rules:
        """The rules by which the looks judge this many arms."""
        return Rules(arms, self.rungs, self.growth, self.keep, self.alpha)

    def portfolio(self) -> dict[str, list[str]]:
        """The arms, without those that are null; raises `ConfigError` for what is not an arm, or without a baseline."""
        arms = {str(name): words for name, words in self.arms.items() if words is not None}
        for name, words in arms.items():
            if not re.fullmatch(r"\w[\w.+-]*", name):
                raise ConfigError(f"arm {name!r}: its name becomes a folder's; take letters, digits, _ . + -")
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ConfigError(
                    f"arm {name}: give a list of words of hardneg train, as [strategy=bm25, batch_size=256]"
                )
            check_words(words, f"arm {name}: ")
        if self.baseline not in arms:
            raise ConfigError(f"baseline={self.baseline} is not among the arms; there are {', '.join(arms) or 'none'}")
        if len(arms) < 2:
            raise ConfigError("a race needs two arms or more; choose them by race=NAME (a file of conf/race)")
        same = {name: other for name in arms for other in arms if name < other and arms[name] == arms[other]}
        if same:
            raise ConfigError(f"arms {', '.join(f'{a} and {b}' for a, b in same.items())} are the same")
        return arms


def duplicates(identities: Mapping[str, str], baseline: str) -> dict[str, str]:
    """The arms whose run another arm has too (`run_identity.identity`), each with the arm that stays.

    The baseline stays, else the first. Different words may make the same run: where queries are few a batch is small,
    whatever the encoder's would be.
    """
    stays: dict[str, str] = {}
    for name in sorted(identities, key=lambda name: name != baseline):  # stable: the others keep their order
        stays.setdefault(identities[name], name)
    return {name: stays[own] for name, own in identities.items() if stays[own] != name}


def check_words(words: Sequence[str], where: str = "") -> None:
    """Raise `ConfigError` for what a race sets itself, and for several values of a key."""
    for override in parsed(words):
        word, key = override.input_line or "", override.get_key_element()
        if override.is_sweep_override():
            raise ConfigError(f"{where}{word}: several values are several arms; write each into a file of conf/race")
        if (reason := OWN.get(key.lstrip("+~"))) is not None:
            raise ConfigError(f"{where}{word}: a race has no such word, since {reason}")
        if key.startswith("hydra.") and where:
            raise ConfigError(f"{where}{word}: settings of Hydra are the same for all arms")


@dataclass(frozen=True)
class EnteredArm:
    """An arm as it is entered: the words of all arms and its own."""

    name: str
    common: tuple[str, ...]
    own: tuple[str, ...]
    place: tuple[str, ...] = ()  # --config-dir DIR, as the race had it

    @property
    def words(self) -> list[str]:
        """Its words; of several with one key the last counts."""
        return [*self.common, *self.own]

    def timed(self) -> list[str]:
        """The command line of the run whose steps are timed: its rows stay in its folder, which is removed."""
        words = [word for word in self.words if key_of(word).split(".")[0] != "logger"]
        return [*words, *_length(ENDLESS, ENDLESS), *_untested(), "logger=csv", *self._place("time", self.name)]

    def raced(self, unit: int, whole: int) -> list[str]:
        """The command line of its run in the race, `whole` times a first rung of `unit` steps."""
        return [*self.words, *_length(unit * whole, unit), *_untested(), *self._place("arms", self.name)]

    def at_the_end(self, unit: int, whole: int, seed: int) -> list[str]:
        """The command line of a run of the same length with another seed, and with the test."""
        named = f"strategy_name={self.name}"
        return [
            *self.words,
            *_length(unit * whole, unit),
            f"seed={seed}",
            named,
            *self._place("end", run_name(self.name, seed)),
        ]

    def command(self, unit: int, whole: int, seed: int) -> str:
        """The command that trains such a run by hand."""
        keys = {key_of(word) for word in self.own}
        words = [word for word in self.common if key_of(word) not in keys or word.startswith(("+", "~"))]
        length = _length(unit * whole, unit)
        return command_line("train", *self.place, *words, *self.own, *length, f"seed={seed}")

    def _place(self, kind: str, folder: str) -> list[str]:
        return [f"run_name={folder}", f"hydra.sweep.subdir={kind}/{folder}", QUIET]


def _length(steps: int, every: int) -> list[str]:
    return [f"trainer.max_steps={steps}", "trainer.max_epochs=-1", f"evaluate.every_n_steps={every}"]


def _untested() -> list[str]:
    # also without what a subset of dev's documents is compared with, which no look goes by
    return ["split.test=null", "evaluate.also=null", "evaluate.before=false", "evaluate.compare_with_all=false"]


def entries(settings: RaceSettings, words: Sequence[str], place: Sequence[str] = ()) -> dict[str, EnteredArm]:
    """The arms as they are entered; `words` are the command line's, but for race=NAME, `place` its --config-dir."""
    common = tuple(word for word in words if key_of(word) != "race")
    check_words(common)
    return {name: EnteredArm(name, common, tuple(own), tuple(place)) for name, own in settings.portfolio().items()}
