"""What a study is: arms as words of the command line, data sets, starts, and the contrasts named before the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

SETS = Path(__file__).parent / "sets.yaml"


@dataclass(frozen=True)
class Start:
    """The encoder that all arms begin with, and the learning rates that each arm may choose from by dev."""

    words: Sequence[str]
    rates: Sequence[float]


@dataclass(frozen=True)
class Study:
    """One `study.yaml`; `primary` are weights of arms that add up to 0, corrected together (Holm)."""

    folder: Path
    sets: Sequence[str]  # those that the table of a start has, in its order
    set_words: Mapping[str, Sequence[str]]  # of every set that there is
    starts: Mapping[str, Start]
    shared: Sequence[str]  # words of all studies
    common: Sequence[str]  # and of this one
    arms: Mapping[str, Sequence[str]]
    baseline: str
    primary: Mapping[str, Mapping[str, float]]
    metric: str
    smallest: float  # effect of interest (SESOI)
    seeds: Sequence[int]
    keep: Sequence[str]  # arms whose best checkpoint others mine with
    mean: bool  # whether the sets are alike, so that the mean over them says something
    by_query: Sequence[str]  # sets whose test queries count one by one although they share positives
    noninferior: bool  # whether primary contrasts ask if the first is worse by `smallest` or more
    runs: str  # the study whose runs these are: its own name, unless it shares another's


@dataclass(frozen=True)
class Job:
    """One training: where it lies, and its words."""

    folder: Path
    words: Sequence[str]

    @property
    def done(self) -> bool:
        """Whether it has its results."""
        return (self.folder / "summary.json").exists()


def read(folder: Path, data: Path, start: str = "static") -> Study:
    """Read a study as it is for one start; `{data}` in the words of sets is the folder with the data."""
    plain: Any = OmegaConf.to_container(OmegaConf.load(folder / "study.yaml"))
    shared: Any = OmegaConf.to_container(OmegaConf.load(SETS))
    sets = {**shared["sets"], **plain.get("worlds", {})}
    rates = {**shared["rates"], **plain.get("rates", {})}
    wanted = plain.get("sets_of_start", {}).get(start, plain["sets"])
    unknown = [name for name in wanted if name not in sets]
    if unknown:
        raise SystemExit(f"{folder}/study.yaml: no such set: {', '.join(unknown)}; there are {', '.join(sets)}")
    return Study(
        folder=folder,
        sets=wanted,
        set_words={name: [word.replace("{data}", str(data)) for word in flat(words)] for name, words in sets.items()},
        starts={name: Start(words, rates[name]) for name, words in shared["starts"].items()},
        shared=flat(shared["common"]),
        common=flat(plain.get("common", [])),
        arms={name: flat(words) for name, words in plain["arms"].items()},
        baseline=plain["baseline"],
        primary=plain["primary"],
        metric=plain.get("metric", "ndcg@10"),
        smallest=plain["smallest"],
        seeds=plain["seeds"],
        keep=plain.get("keep", []),
        mean=plain.get("mean", True),
        by_query=shared["by_query"],
        noninferior=plain.get("noninferior", False),
        runs=plain.get("runs", folder.name),
    )


def flat(words: Sequence[Any]) -> list[str]:
    """Take lists of words out of a list: what several arms share is written once."""
    return [one for word in words for one in (flat(word) if isinstance(word, list) else [str(word)])]


def home(study: Study, out: Path, start: str, data: str) -> Path:
    """Where the runs of one set and start lie."""
    return out / study.runs / start / data


def job(study: Study, out: Path, start: str, data: str, arm: str, rate: float, seed: int) -> Job:
    """Say where one training lies and what its words are.

    In them `{miner}` is the checkpoint that was kept, `{truth}` a file with all judgements, `{out}` OUT.
    """
    there = home(study, out, start, data)
    folder = there / arm / f"lr{rate:g}-s{seed}"
    words = [*study.shared, *study.starts[start].words, *study.set_words[data], *study.common, *study.arms[arm]]
    own_files = {"{miner}": there / "miner.ckpt", "{out}": out, "{truth}": truth(out / data)}
    for name, path in own_files.items():
        words = [word.replace(name, str(path)) for word in words]
    own = [f"strategy_name={arm}", f"optimizer.lr={rate:g}", f"seed={seed}", f"hydra.run.dir={folder}"]
    return Job(folder, [*words, *own])


def truth(data: Path) -> str:
    """All judgements of a set that some were hidden of; `null` for a generated set, which knows its own."""
    return str(data / "train_all.tsv") if data.exists() else "null"
