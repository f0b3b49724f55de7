"""One race, as all its parts see it: its arms, its executor, its record, and the budget that is left."""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hardneg.config.composition import config_dir_words
from hardneg.config.slips import in_plain_words
from hardneg.errors import ConfigError, JobFailed
from hardneg.race.arm_state import SECONDS
from hardneg.race.budget import AtTheEnd, Costs, RacePlan, Timing, seconds_of
from hardneg.race.decide import Rules
from hardneg.race.executor import Executor
from hardneg.race.portfolio import EnteredArm, RaceSettings, entries
from hardneg.race.record import LOCKS, Record, alone
from hardneg.runs.study import open_study
from hardneg.sweep.jobs import Job
from hardneg.system.progress import clock

log = logging.getLogger(__name__)

CLOSING = 5.0  # seconds on the clock that are kept for looks, the last tables and the figure
EARLY_ERROR = 0.05  # by what share the time of what is left may be foreseen wrongly in the middle of a race

OTHER_FOLDER = (
    "the database has a race {} in another folder than {}: what shares a race shares its folder too, so give that one"
    " as hydra.sweep.dir, or study=NAME for a race of its own"
)
OTHER_CACHE = (
    "the runs of {} keep what they mine in another cache than {}, and cannot resume without it: give that one"
    " (HARDNEG_CACHE, or cache=), or, if it is gone, begin a race in another folder"
)
WIDTH = 80  # columns of a terminal as it opens


def indented(items: Iterable[str], what: str = "") -> str:
    """Lay out items below a line that they belong to; each stays in one piece."""
    text = what + ", ".join(item.replace(" ", "\xa0") for item in items)  # textwrap breaks no line at these
    filled = textwrap.fill(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return filled.replace("\xa0", " ")


class Race:
    """One race as this process sees it; what is decided is in its `record`, for all that share it.

    `budget` is in seconds, summed over the runs that go at a time; `end` is what runs at the end do besides.
    """

    def __init__(
        self,
        settings: RaceSettings,
        folder: Path,
        arms: Mapping[str, EnteredArm],
        executor: Executor,
        record: Record,
        metric: str,
        end: AtTheEnd,
    ) -> None:
        self.settings, self.folder, self.entries = settings, folder, arms
        self.executor, self.record, self.metric, self.end = executor, record, metric, end
        self.budget = seconds_of(settings.budget) * executor.n_jobs
        executor.idle = record.idle

    @property
    def baseline(self) -> str:
        """The arm that a winner must prove better than."""
        return self.settings.baseline

    @property
    def rules(self) -> Rules:
        """The rules of the looks, for the arms that race: those that would repeat another arm's run are not counted."""
        return self.settings.rules(len(self.entries) - len(self.record.left_out()))

    def left(self) -> float:
        """The seconds that runs may still take, summed over the runs that go at a time, as the budget is."""
        return self.budget - self.record.spent() - CLOSING * self.executor.n_jobs

    def so_far(self) -> str:
        """How much of the budget is spent, by the clock, as the user gave it."""
        return f"{clock(self.record.spent() / self.executor.n_jobs)} of {clock(self.budget / self.executor.n_jobs)}"

    def costs(self, plan: RacePlan, rung: int) -> Costs:
        """What the parts of a run cost, by how long arms have taken to a rung."""
        timings = self.record.timings()
        planned = Costs(self.rules, plan.training, Timing.of_arms([timings[name] for name in plan.unit]), self.end)
        taken = self.record.seconds(rung)
        return replace(planned, pace=sum(taken) / len(taken) / planned.rung(rung)) if taken else planned

    def warn_if_over(self, needed: float, what: str, early: bool = False) -> None:
        """Warn where what must be done takes more seconds, summed over the runs that go at a time, than are left.

        What is foreseen `early` may come otherwise: other runs be needed, or the pace change. Then a small excess is
        not told, and a larger one as what may be.
        """
        left, at_once = self.left(), self.executor.n_jobs
        least = EARLY_ERROR * needed if early else at_once
        if needed - left > least:
            log.warning(
                "%s: about %s, with %s of the budget left; the race %s go over its budget by about %s",
                *(what, clock(needed / at_once), clock(max(left, 0.0) / at_once), "may" if early else "will"),
                clock((needed - left) / at_once),
            )

    def failed(self, arm: str, error: str, job: Job) -> None:
        """Note that an arm is out of the race; raises `JobFailed` where that ends the race."""
        self.record.failed(arm, error)
        if arm == self.baseline:
            raise JobFailed(f"{arm}, the baseline, failed: {error}; see {job.folder}")
        log.warning("%s failed and is out of the race: %s; see %s", arm, error, job.folder)
        self.check_rivals()

    def check_rivals(self) -> None:
        """Raise `JobFailed` if no arm has raced the baseline, or will; arms that were stopped have."""
        left_out = self.record.left_out()
        rivals = [arm for name, arm in self.record.arms().items() if name != self.baseline and name not in left_out]
        if all(arm.failed for arm in rivals):
            but = f"{self.baseline} and what comes to the same run as another" if left_out else "the baseline"
            raise JobFailed(f"all arms but {but} have failed")


def open_race(
    config: DictConfig, launcher: Launcher, settings: RaceSettings, words: Sequence[str], folder: Path
) -> tuple[Race, int]:
    """Check every arm and enter the race, or take up one that was begun; also return the first seed of its end.

    Raises `ConfigError` for an arm that cannot run, without a dev split, and for a folder that holds another race.
    """
    began = time.monotonic()
    arms = entries(settings, words, config_dir_words(config.hydra))
    executor = Executor(config, launcher, folder)
    cfgs = [checked(executor, one) for one in arms.values()]
    if any(cfg.split.dev is None for cfg in cfgs):
        raise ConfigError("split.dev=null: a race is decided by dev")
    facts = {"storage": settings.storage, "study": settings.study, "sampler": "random", "seed": 1, "pruner": "none"}
    with alone(folder):  # of several processes that come at once one makes the database's tables
        record = Record(open_study(facts, folder), folder)
    asked = {key: value for key, value in asdict(settings).items() if key not in ("storage", "study", "arms")}
    own = {name: list(one.own) for name, one in arms.items()}
    if settings.storage is not None:
        record.tie("folder", folder / LOCKS, OTHER_FOLDER.format(record.study.study_name, folder))
    record.enter(own, {**asked, "arms": own, "words": list(arms[settings.baseline].common)})
    record.tie("cache", Path(cfgs[0].cache), OTHER_CACHE.format(folder, cfgs[0].cache))
    first_seed = max(int(cfg.seed) for cfg in cfgs) + 1
    at_the_end = executor.compose(arms[settings.baseline].at_the_end(1, 2, first_seed)).cfg
    race = Race(settings, folder, arms, executor, record, str(cfgs[0].evaluate.best), end_of(at_the_end))
    note_checks(race, time.monotonic() - began)
    return race, first_seed


def end_of(cfg: DictConfig) -> AtTheEnd:
    """What a run at the end does besides, by its config."""
    tested = cfg.split.test is not None or bool(cfg.evaluate.also)
    return AtTheEnd(tested * (2 if cfg.evaluate.before else 1), bool(cfg.evaluate.compare_with_all))


def checked(executor: Executor, arm: EnteredArm) -> DictConfig:
    """Compose an arm's run; raises `ConfigError`, which names the arm: the words of all arms were checked before."""
    try:
        return executor.compose(arm.raced(1, 2), check=True).cfg
    except (ConfigError, HydraException) as error:
        what = in_plain_words(error) if isinstance(error, HydraException) else error
        raise ConfigError(f"arm {arm.name}: {what}") from error


def note_checks(race: Race, seconds: float) -> None:
    """Count the time of the checks once for each run that could have been at work meanwhile."""
    race.record.keep_first(f"{SECONDS}checks", seconds * race.executor.n_jobs)
