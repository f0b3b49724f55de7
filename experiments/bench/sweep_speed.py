"""What does a sweep save over the same jobs run one by one with nothing to share? See README.md beside this file."""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
STRATEGIES, LOSSES = ("in_batch", "bm25", "mined"), ("infonce", "triplet")
COLD = "one by one, cold"


@dataclass(frozen=True)
class Reading:
    """One arm's time in one round."""

    arm: str
    round: int
    seconds: float
    processor: float  # seconds of all its processes


def main() -> None:
    """Run the rounds; print the table and write it with every reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", default="pydocs", help="pydocs, toy, or a folder in BEIR layout")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--losses", nargs="+", default=list(LOSSES))
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--n-jobs", type=int, default=2, help="of the launcher of processes; 0 leaves that arm out")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for sweep_speed.md and sweep_speed.json")
    args = parser.parse_args()
    data = (
        [f"data={args.data}"]
        if args.data in ("pydocs", "toy")
        else ["data=beir", f"data.path={Path(args.data).resolve()}"]
    )
    common = [
        *data,
        "encoder=static",
        "logger=csv",
        f"trainer.max_epochs={args.epochs}",
        "trainer.enable_progress_bar=false",
    ]
    grid = [f"strategy={','.join(args.strategies)}", f"loss={','.join(args.losses)}"]
    jobs = [[f"strategy={s}", f"loss={x}"] for s, x in itertools.product(args.strategies, args.losses)]
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            readings += one_round(Path(folder, str(number)), number, common, grid, jobs, args.n_jobs)
    args.out.mkdir(parents=True, exist_ok=True)
    # The table names the folder, not where it lay on this machine.
    shown = [f"data.path={Path(word).name}" if word.startswith("data.path=") else word for word in common]
    text = markdown(readings, [*shown, *grid], len(jobs))
    print(text)
    (args.out / "sweep_speed.md").write_text(text, encoding="utf-8")
    facts = {"machine": machine(), "readings": [asdict(one) for one in readings]}
    (args.out / "sweep_speed.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def one_round(
    home: Path, number: int, common: list[str], grid: list[str], jobs: list[list[str]], n_jobs: int
) -> list[Reading]:
    """Time all arms; half of the cold jobs come before the sweeps and half after, so that a drift meets both alike."""
    sweeps = {"one sweep": []}
    if n_jobs:
        sweeps[f"one sweep, {n_jobs} processes"] = ["hydra/launcher=processes", f"hydra.launcher.n_jobs={n_jobs}"]
    cold: list[Reading] = []
    out: list[Reading] = []

    def one_by_one(some: list[list[str]]) -> None:
        for job in some:
            name = "-".join(word.partition("=")[2] for word in job)
            cold.append(
                timed(COLD, number, home / "cold" / name, [*common, *job, f"hydra.run.dir={home}/cold/{name}/run"])
            )

    half = len(jobs) // 2
    one_by_one(jobs[:half])
    for arm in list(sweeps)[:: -1 if number % 2 else 1]:
        place = home / arm.replace(" ", "_").replace(",", "")
        out.append(timed(arm, number, place, ["-m", *common, *grid, *sweeps[arm], f"hydra.sweep.dir={place}/sweep"]))
        check_same(home / "cold", place)
    one_by_one(jobs[half:])
    for arm in sweeps:
        check_same(home / "cold", home / arm.replace(" ", "_").replace(",", ""))
    return [Reading(COLD, number, sum(one.seconds for one in cold), sum(one.processor for one in cold)), *out]


def timed(arm: str, number: int, home: Path, words: list[str]) -> Reading:
    """Run `hardneg train` in a process with an empty cache of its own."""
    home.mkdir(parents=True)
    environment = {**os.environ, "HARDNEG_CACHE": str(home / "cache")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (home / "log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-m", "hardneg.cli", "train", *words], stdout=log, stderr=log, env=environment, check=False
        )
    if done.returncode:
        sys.exit(f"{arm} failed:\n" + (home / "log").read_text(encoding="utf-8")[-3000:])
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"round {number + 1}  {arm}: {seconds:.1f} s, processor {spent:.1f} s", flush=True)
    return Reading(arm, number, seconds, spent)


def check_same(cold: Path, sweep: Path) -> None:
    """Exit if a job has other results than the cold one: then these are not the same jobs."""
    results = [{}, {}]
    for found, folder in zip(results, (cold, sweep), strict=True):
        for path in folder.rglob("summary.json"):
            summary = json.loads(path.read_text(encoding="utf-8"))
            found[summary["name"]] = summary["test"]["after"]
    for name, test in results[0].items():
        apart = max(abs(test[key] - results[1][name][key]) for key in test)
        if apart > 1e-3:  # another number of threads rounds otherwise
            sys.exit(f"{name} differs by {apart} between {cold} and {sweep}")


def markdown(readings: list[Reading], words: list[str], jobs: int) -> str:
    """Write the table: medians over the rounds, and the ratio to the cold jobs in the same round."""
    rounds = max(one.round for one in readings) + 1
    cold = {one.round: one for one in readings if one.arm == COLD}
    lines = [
        f"Written by `sweep_speed.py` on {datetime.date.today().isoformat()}: {jobs} jobs, rounds: {rounds}.",
        f"{machine()}.",
        "",
        f"    hardneg train -m {' '.join(words)}",
        "",
        "| arm | wall s | s a job | times as fast | processor s | of cold |",
        "|---|---|---|---|---|---|",
    ]
    for arm in dict.fromkeys(one.arm for one in readings):
        own = [one for one in readings if one.arm == arm]
        wall, spent = median(one.seconds for one in own), median(one.processor for one in own)
        faster = median(cold[one.round].seconds / one.seconds for one in own)
        share = median(one.processor / cold[one.round].processor for one in own)
        lines.append(f"| {arm} | {wall:.1f} | {wall / jobs:.1f} | {faster:.2f} | {spent:.1f} | {share:.0%} |")
    return "\n".join([*lines, ""])


def machine() -> str:
    """Name the processor, its cores and the versions."""
    cores, torch = len(os.sched_getaffinity(0)), metadata.version("torch")
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    versions = f"torch {torch}, Python {platform.python_version()}"
    return f"{platform.machine()}, {cores} cores, OMP_NUM_THREADS={threads}, {versions}"


if __name__ == "__main__":
    main()
