"""The arms of a comparison: runs that differ in nothing but the seed, named by what sets them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from hardneg.compare.one_run import FinishedRun
from hardneg.errors import UserError

MANY = 10**16  # from here on Python writes floats with an exponent


@dataclass(frozen=True, eq=False)
class Arm:
    """The runs of one arm, by seed."""

    name: str
    runs: Mapping[int, FinishedRun]
    settings: str = ""  # its name before it was renamed, which tells its settings

    def on(self, test: str) -> Arm | None:
        """The same arm on one of several test sets; None where its runs have no such set."""
        runs = {seed: found for seed, run in self.runs.items() if (found := run.on(test)) is not None}
        return replace(self, runs=runs) if runs else None

    @property
    def in_batch_only(self) -> bool:
        """Whether its only negatives are the other documents of the batch."""
        run = next(iter(self.runs.values()))
        sources = {key.split(".")[1] for key in run.config if key.startswith("negatives.")}
        return (sources or {run.summary["strategy"]}) == {"in_batch"}

    @property
    def cost(self) -> str | None:
        """The queries of its runs and the documents that they embedded for each; None where no run tells."""
        told = [run.cost for run in self.runs.values() if run.cost is not None]
        if not told:
            return None
        queries, documents = map(sorted, zip(*told, strict=True))
        return f"{_range(queries, ',')} x {_range(documents, '.1f')}"

    def means(self, metric: str) -> Float[np.ndarray, " S"]:
        """The test metric of each seed."""
        return np.array([run.mean(metric) for run in self.runs.values()])

    def shared(self, other: Arm) -> list[int]:
        """The seeds that both arms have."""
        return sorted(self.runs.keys() & other.runs.keys())

    @property
    def weights(self) -> Float[np.ndarray, " Q"] | None:
        """By what the values of each query are multiplied in `minus`; null: there is one test set, or none has values.

        The same for all runs that were tested on the same queries.
        """
        found = (run.per_query for run in self.runs.values())
        return next((one.weights for one in found if one is not None), None)

    def minus(self, other: Arm, metric: str) -> Float[np.ndarray, "S Q"] | None:
        """The differences by shared seed and query, in the order of the sorted ids, multiplied by `weights`.

        None where they share no seed, or a run's per-query values are gone.
        """
        rows = []
        for seed in self.shared(other):
            mine, theirs = self.runs[seed].per_query, other.runs[seed].per_query
            if mine is None or theirs is None:
                return None
            rows.append(mine.values[metric] - theirs.values[metric])
        return np.stack(rows) if rows else None

    def minus_by_seed(self, other: Arm, metric: str) -> Float[np.ndarray, " S"]:
        """The differences of the means by shared seed."""
        return np.array([self.runs[s].mean(metric) - other.runs[s].mean(metric) for s in self.shared(other)])


def _range(values: Sequence[int | float], form: str) -> str:
    """The lowest and the highest of sorted numbers, or the only one."""
    return " to ".join(dict.fromkeys(f"{value:{form}}" for value in (values[0], values[-1])))


def seed_table(by_arm: Mapping[str, Arm], metric: str) -> Float[np.ndarray, "A S"]:
    """The test metric of each arm (row) and seed (column), NaN where an arm has no run of a seed."""
    seeds = sorted({seed for arm in by_arm.values() for seed in arm.runs})
    rows = [[arm.runs[s].mean(metric) if s in arm.runs else np.nan for s in seeds] for arm in by_arm.values()]
    return np.array(rows, float)


def arms(runs: Sequence[FinishedRun]) -> dict[str, Arm]:
    """Group the runs of one data set.

    Raises `UserError` if two runs are the same arm and seed, or were tested on different data of the same name.
    """
    _check_same_test(runs)
    out = {}
    for name, group in _named(runs).items():
        by_seed: dict[int, FinishedRun] = {}
        for run in sorted(group, key=lambda run: run.seed):
            if run.seed in by_seed:
                one = by_seed[run.seed].folder
                raise UserError(f"{one} and {run.folder} are the same run, {name} with seed {run.seed}; give one")
            by_seed[run.seed] = run
        out[name] = Arm(name, by_seed)
    return out


def rename(by_data: Mapping[str, dict[str, Arm]], words: Sequence[str]) -> dict[str, dict[str, Arm]]:
    """Rename arms on all data sets as `words` (OLD=NEW) say.

    Raises `UserError` for an unknown arm, and for a name that two arms would have.
    """
    known = sorted({name for by_arm in by_data.values() for name in by_arm}, key=len, reverse=True)
    names: dict[str, str] = {}
    for word in words:
        old = next((name for name in known if word.startswith(f"{name}=")), None)  # names may have a = in them
        if old is None or not (new := word[len(old) + 1 :].strip()):
            raise UserError(f"--name {word}: write OLD=NEW; the arms are: {'; '.join(sorted(known))}")
        names[old] = new
    out: dict[str, dict[str, Arm]] = {}
    for data, by_arm in by_data.items():
        out[data] = {}
        for old, arm in by_arm.items():
            new = names.get(old, old)
            if new in out[data]:
                raise UserError(f"--name {old}={new}: another arm is called {new} too; arms are not joined by names")
            out[data][new] = replace(arm, name=new, settings=arm.settings or old)
    return out


def check_measured(runs: Iterable[FinishedRun], metrics: Iterable[str]) -> None:
    """Raise `UserError` naming the first run without one of these metrics."""
    for run in runs:
        for metric in metrics:
            run.mean(metric)


def _check_same_test(runs: Sequence[FinishedRun]) -> None:
    known = [run for run in runs if run.summary.get("test_set")]
    for run in known:
        if run.summary["test_set"] != known[0].summary["test_set"]:
            raise UserError(
                f"{known[0].folder} and {run.folder} were tested on different corpora, queries or judgements that are"
                f" both called {run.summary['data']!r}; compare only runs on the same data, choose one that all have by"
                " --set, or name them by data.name"
            )
    complete = [(run.folder, run.per_query.ids) for run in runs if run.per_query is not None]
    for folder, ids in complete:
        first, expected = complete[0]
        if not np.array_equal(ids, expected):
            raise UserError(
                f"{first} and {folder} were tested on different queries ({len(expected)} and {len(ids)},"
                f" {len(np.intersect1d(ids, expected))} of them in both); compare only runs on the same"
            )


def _named(runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Name runs of one strategy and loss by the settings in which they differ."""
    recipes: dict[str, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        recipes[run.recipe].append(run)
    out: dict[str, list[FinishedRun]] = defaultdict(list)
    for recipe, group in recipes.items():
        keys = sorted(set().union(*(run.config for run in group)))
        # The settings of a part that only some runs have add nothing to the fact that they have it.
        varied = [key for key in keys if len({repr(run.config[key]) for run in group if key in run.config}) > 1]
        swapped = _swapped(varied)
        alike: dict[str, list[FinishedRun]] = defaultdict(list)
        for run in group:
            shown = [f"{key}={_said(run, key)}" for key in varied if key in run.config and not key.startswith(swapped)]
            parts = [f"{part[:-1]}={_class_of(run, part)}" for part in swapped]
            alike[" ".join([recipe, *parts, *shown])].append(run)
        for name, some in alike.items():
            # A part that some have and others leave out by null, as a curriculum, would otherwise go unseen.
            left_out = [key for key in keys if {_has(run, key) for run in some} >= {True, False}]
            for run in some:
                out[" ".join([name, *(f"{key}={_label(run, key)}" for key in left_out)])].append(run)
    return out


def _has(run: FinishedRun, key: str) -> bool | None:
    """Whether a run has a part (True) or leaves it out by null (False); None where its config says neither."""
    if any(other.startswith(f"{key}.") for other in run.config):
        return True
    return False if key in run.config and not run.config[key] else None


def _label(run: FinishedRun, key: str) -> str:
    """Name a part that others leave out: by its class, where that says more than the part's own name."""
    if not _has(run, key):
        return "None"
    own = _class_of(run, f"{key}.").lower()
    return "given" if own in (key, "none") else own


def _swapped(keys: Iterable[str]) -> tuple[str, ...]:
    """The parts, as prefixes, whose class differs: the class is named, and their settings cannot be compared."""
    return tuple(key.removesuffix("_target_") for key in keys if key.endswith("._target_"))


def _class_of(run: FinishedRun, part: str) -> str:
    return str(run.config.get(f"{part}_target_", "none")).rsplit(".", 1)[-1]


def _said(run: FinishedRun, key: str) -> str:
    """A setting as it is shown: 1e+38, a whole number here (see `run_identity.flat`), without all its digits."""
    value = run.config[key]
    return repr(float(value)) if isinstance(value, int) and abs(value) >= MANY and float(value) == value else str(value)


def unnamed_differences(arm: Arm, baseline: Arm) -> list[str]:
    """The settings in which two arms differ although neither name says so: the contrast may be theirs.

    Compares what both have; a part that only one has is in its name.
    """
    one, other = next(iter(arm.runs.values())), next(iter(baseline.runs.values()))
    varied = [key for key in sorted(one.config.keys() & other.config.keys()) if one.config[key] != other.config[key]]
    swapped = _swapped(varied)
    named = {
        word.split("=")[0]
        for name in (arm.settings or arm.name, baseline.settings or baseline.name)
        for word in name.split()
        if "=" in word
    }
    parts = [part for part in swapped if part[:-1] not in named]
    found = [f"{part[:-1]}={_class_of(one, part)} ({_class_of(other, part)})" for part in parts]
    for key in varied:
        if key not in named and not key.startswith(swapped):
            found.append(f"{key}={_said(one, key)} ({_said(other, key)})")
    return found
