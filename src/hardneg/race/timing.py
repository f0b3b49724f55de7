"""Before the first rung: steps are timed, arms whose runs would be the same are found, and lengths are planned."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace

from hardneg.config import run_identity
from hardneg.errors import ConfigError
from hardneg.race.budget import RacePlan, Timing, plan, rounded
from hardneg.race.executor import Work, ended, forget
from hardneg.race.portfolio import duplicates
from hardneg.race.race import Race, indented
from hardneg.race.record import PLAN, SAME
from hardneg.runs import status
from hardneg.sweep.jobs import Job
from hardneg.system.progress import clock

log = logging.getLogger(__name__)

TIMED = 2.0  # seconds for which an arm's steps are timed
SEEDS_TO_TEST = 2  # with the race's own run these tell how much seeds vary (see `outcome.conclude`)


def lengths(race: Race) -> RacePlan:
    """Return how long every arm trains, timed and planned by whoever comes first.

    Raises `ConfigError` for a budget that is too small, and where the runs of all arms would be the same.
    """
    race.executor.work_off(lambda: untimed(race), lambda work, job, seconds: _timed(race, work, job, seconds))
    leave_out_duplicates(race)
    race.check_rivals()
    return planned(race)


def untimed(race: Race) -> list[Work]:
    """The runs that are left to take the time of."""
    known = race.record.timings()
    left = [name for name in race.record.racing() if name not in known]
    # On a large corpus ranking all documents takes far longer than a look at a subset: one arm is enough, the first to
    # be timed, so that a budget which is far too small for that is refused at once.
    left.sort(key=lambda name: name != race.baseline)
    parts = {name: {"seconds": TIMED, "over_all": name == race.baseline} for name in left}
    return [Work(f"time_{name}", name, tuple(race.entries[name].timed()), parts[name]) for name in left]


def _timed(race: Race, work: Work, job: Job, seconds: float) -> None:
    record = race.record
    if (error := ended(job, ["paused"])) is not None:
        race.failed(work.arm, error, job)
        return
    found = status.read(job.folder) or {}
    timing = Timing(**found["timing"])
    record.timed(work.arm, timing, _comes_to(job, found), seconds)
    forget(job)
    known = record.timings()
    log.info(
        "timed  %-*s  %s s a step, %s s an evaluation of dev  %d of %d",
        *(max(map(len, race.entries)), work.arm, rounded(timing.step), rounded(timing.evaluation)),
        *(len(known), len(record.racing())),
    )
    if work.arm == race.baseline:  # a budget that is far too small is refused at once, as if all arms were like it
        # Its start does not count: it makes what the others find in the cache. What theirs take is not known yet.
        alike = dict.fromkeys(record.racing(), replace(timing, start=0.0, choice=0.0))
        left, others = race.left(), (len(alike) - len(known)) * (TIMED + timing.evaluation)
        taken = race.budget - left + others
        plan(alike, race.rules, race.settings.seeds, race.end, left, race.executor.n_jobs, taken, all_timed=False)


def _comes_to(job: Job, found: status.Status) -> str:
    """The identity of an arm's run with its batch settled.

    The rate of `encoder.lr=auto` stays open: what was found is that of a run without an end, not of the raced one.
    """
    if found.get("learning_rate") is None:
        return str(found["identity"])
    return run_identity.hashed(run_identity.settings(job.cfg, job.folder) | {"encoder.lr": run_identity.AUTO})


def leave_out_duplicates(race: Race) -> None:
    """Leave out arms that would repeat another's run, which is known when all have settled their batch (`duplicates`).

    Raises `ConfigError` where only one is left.
    """
    record = race.record
    with record.alone():
        known = record.kept(SAME)
        if known is None:
            known = duplicates(record.identities(), race.baseline)
            record.keep(SAME, known)
        for name in [name for name in record.racing() if name in known]:  # also those that a kill has left in the race
            record.stop(name)
    for name, other in known.items():
        log.info("%s is left out: on these data and this machine its run is that of %s, batch included", name, other)
    if race.rules.arms < 2:
        raise ConfigError(f"all arms come to the same run as {race.baseline}; choose others (race=NAME)")


def planned(race: Race) -> RacePlan:
    """Return the plan that was made, or make one now, and log it."""
    record, rules = race.record, race.rules
    with record.alone():
        if (known := record.kept(PLAN)) is None:
            left_out = record.left_out()
            timings = {name: one for name, one in record.timings().items() if name not in left_out}
            left = race.left()
            made = plan(timings, rules, race.settings.seeds, race.end, left, race.executor.n_jobs, race.budget - left)
            known = asdict(made)
            record.keep(PLAN, known)
    made = RacePlan(**known)
    log.info(
        "plan: %d rungs; a whole run trains for %s, the same for all arms, in steps:", rules.rungs, clock(made.training)
    )
    log.info("%s", indented(f"{name} {unit * rules.whole:,}" for name, unit in made.unit.items()))
    if made.seeds < SEEDS_TO_TEST:
        why = "seeds=1" if race.settings.seeds == 1 else "there is room for one new seed at the end"
        log.warning(
            "%s, and a winner is named with %d or more: unless that changes, as with a longer budget, fewer arms or"
            " seeds=3, the race can say who is ahead, not who wins",
            *(why, SEEDS_TO_TEST),
        )
    return made
