"""Train the arms of a study, each at the better of its learning rates by dev, and write its table.

    python experiments/study/run.py experiments/17_ladder DATA OUT [--start static] [--sets nl2bash]

The first seed tries all rates; the others are trained at the best of them. What is done is left alone; a run that was
interrupted goes on. `--table` only reads what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import design
import table

from hardneg import cli
from hardneg.errors import UserError


def main() -> None:
    """Do what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder with study.yaml")
    parser.add_argument("data", type=Path, help="the folder that holds the data sets, in BEIR layout")
    parser.add_argument("out", type=Path, help="where runs go")
    parser.add_argument("--start", default="static", help="static, trimmed, tuned or weaker (default: %(default)s)")
    parser.add_argument(
        "--sets", help="only these, with commas; also sets of sets.yaml that are not in the start's table"
    )
    parser.add_argument("--arms", help="only these, with commas")
    parser.add_argument("--seeds", help="other seeds than the study's, with commas")
    parser.add_argument("--rates", help="other learning rates than the start's, with commas")
    parser.add_argument("--rate-of", metavar="ARM", help="only this arm tries rates; the others take its best by dev")
    parser.add_argument("--table", action="store_true", help="train nothing, write the table of what is there")
    given = parser.parse_args()
    sys.path.insert(0, str(given.study.resolve()))  # parts of the study's own, as oracle.py
    os.environ["HARDNEG_TARGETS"] = ",".join(f"{file.stem}." for file in given.study.glob("*.py"))
    study = design.read(given.study.resolve(), given.data.resolve(), given.start)
    out = given.out.resolve()
    sets = given.sets.split(",") if given.sets else list(study.sets)
    arms = given.arms.split(",") if given.arms else list(study.arms)
    rates = [float(rate) for rate in given.rates.split(",")] if given.rates else study.starts[given.start].rates
    seeds = [int(seed) for seed in given.seeds.split(",")] if given.seeds else list(study.seeds)
    if not given.table:
        for data in sets:
            tried = rates
            if given.rate_of:
                best = train_arm(study, out, given.start, data, given.rate_of, seeds, rates)
                tried = [] if best is None else [best]
            for arm in arms:
                if arm != given.rate_of:
                    train_arm(study, out, given.start, data, arm, seeds, tried)
    table.write(study, out, given.start)


def train_arm(
    study: design.Study, out: Path, start: str, data: str, arm: str, seeds: Sequence[int], rates: Sequence[float]
) -> float | None:
    """Train one arm on one set: all rates with the first seed, the best of them with the others.

    Returns that rate, None where no run was finished.
    """
    first = {rate: design.job(study, out, start, data, arm, rate, seeds[0]) for rate in rates}
    for one in first.values():
        train(one, keep=arm in study.keep)
    done = {rate: dev(one) for rate, one in first.items() if one.done}
    if not done:
        return None
    best = max(done, key=lambda rate: done[rate])
    checkpoint = first[best].folder / "checkpoints" / "best.ckpt"
    if arm in study.keep and checkpoint.exists():  # one miner for all arms that mine with it
        shutil.copyfile(checkpoint, design.home(study, out, start, data) / "miner.ckpt")
    for seed in seeds[1:]:
        train(design.job(study, out, start, data, arm, best, seed), keep=False)
    return best


def train(one: design.Job, keep: bool) -> None:
    """Train, unless it is done, or go on with it; note the processor time, and remove the weights of what is done."""
    if one.done:
        return
    begun = (one.folder / "status.json").exists()
    words = ("resume", str(one.folder)) if begun else ("train", *one.words)
    before, began = os.times(), time.time()
    failed = ""
    one.folder.mkdir(parents=True, exist_ok=True)
    with (one.folder / "said.log").open("a", encoding="utf-8") as log:
        kept, sys.stdout = sys.stdout, log
        try:
            cli.run(*words)
        except UserError as error:
            failed = str(error)
        finally:
            sys.stdout = kept
    after = os.times()
    used = sum(after[:4]) - sum(before[:4])
    said = f"failed: {failed}" if failed else f"{dev(one):.4f} on dev"
    print(f"{one.folder}: {said}, {used:.0f} s of the processor, {time.time() - began:.0f} s", flush=True)
    if one.done:
        (one.folder / "processor_seconds").write_text(f"{used:.1f}\n")
        if not keep:
            shutil.rmtree(one.folder / "checkpoints", ignore_errors=True)


def dev(one: design.Job) -> float:
    """The dev metric that chooses the rate."""
    return float(json.loads((one.folder / "summary.json").read_text(encoding="utf-8"))["dev"]["best"])


if __name__ == "__main__":
    main()
