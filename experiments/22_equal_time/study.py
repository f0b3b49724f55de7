"""Train both sides for equal time of one thread, on one set after the other, and write the tables and the figure.

    python experiments/22_equal_time/study.py DATA OUT [--start transformer] [--sets conala,obliqa] [--table]

DATA holds the sets in BEIR layout. On each set both sides make their tries in turns (first seed); the best of each by
dev goes on with the other seeds beside our defaults and what a race took. What is done is left alone; `--table` trains
nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
os.environ["HARDNEG_TARGETS"] = "ours."

import plan
import race


def main() -> None:
    """Do what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", choices=plan.STARTS, default="static")
    parser.add_argument("--sets", help="some of the start's sets, with commas between them")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    data, planned = given.data.resolve(), plan.Plan(given.start, given.out.resolve() / given.start)
    if not given.table:
        runs = Runs(data, planned)
        sets = given.sets.split(",") if given.sets else list(planned.start.budget)
        for name in sets:
            runs.one_set(name)
            runs.longer(name)
        for name in sets if planned.start.race else []:  # last: their budget is wall time, so let nothing else run then
            race.of(data / name, planned, name)
            runs.seeds(name)
    import report

    report.write(data, planned)


class Runs:
    """The runs of the study in this process, which has imported everything, and trained once, before any counts."""

    def __init__(self, data: Path, planned: plan.Plan) -> None:
        self.data, self.plan, self.warm = data, planned, False

    def one_set(self, name: str) -> None:
        """Make the tries, and the runs of all seeds."""
        tries = {side: self.plan.first(side) for side in plan.SIDES}
        self.in_turns(name, tries, plan.SEEDS[0])
        self.in_turns(name, {side: self.plan.tries(name, side) for side in plan.SIDES}, plan.SEEDS[0])
        self.seeds(name)

    def seeds(self, name: str) -> None:
        """Run every arm with every seed."""
        arms = self.plan.arms(name)
        for number, seed in enumerate(plan.SEEDS):
            for arm in list(arms) if number % 2 == 0 else reversed(arms):
                side, one, setting = arms[arm]
                self.run(name, side, one, setting, seed)

    def longer(self, name: str) -> None:
        """Give some tries more time, where the plan says so."""
        if name in self.plan.start.longer:
            tries = {side: self.plan.longer(name, side) for side in plan.SIDES}
            self.in_turns(name, tries, plan.SEEDS[0], self.plan.start.longer[name])

    def in_turns(
        self, name: str, tries: dict[str, dict[str, plan.Try]], seed: int, seconds: float | None = None
    ) -> None:
        """Run a try of one side, then one of the other; who begins changes."""
        for number, pair in enumerate(zip(*(tries[side].items() for side in plan.SIDES), strict=True)):
            for side, (one, setting) in list(zip(plan.SIDES, pair, strict=True))[:: 1 if number % 2 == 0 else -1]:
                self.run(name, side, one, setting, seed, seconds)

    def run(self, name: str, side: str, one: str, setting: plan.Try, seed: int, seconds: float | None = None) -> None:
        """Train once, unless that is done, and write what came of it; `seconds` are the set's own unless given."""
        path = self.plan.result(name, side, one, seed, seconds)
        if path.exists():
            return
        if not self.warm:
            self.warm_up()
        looks = plan.LOOKS if seed == plan.SEEDS[1] else ()
        counted = seconds or self.plan.start.budget[name]
        found = trained(self.data / name, self.plan.name, side, setting, seed, counted, looks)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(found) + "\n", encoding="utf-8")
        draft.rename(path)
        used, dev = found["points"][-1]
        print(f"{path}: {dev:.4f} on dev, {found['steps']} steps, {used:.1f} s", flush=True)

    def warm_up(self) -> None:
        """Train every kind for a moment, so that no run pays for what is imported or compiled late."""
        for side in plan.SIDES:
            rate = self.plan.start.rates[side][0]
            for setting in self.plan.second("conala", side, rate).values():
                trained(self.data / "conala", self.plan.name, side, setting, 1, 0.3, ())
        self.warm = True


def trained(
    data: Path, start: str, side: str, setting: plan.Try, seed: int, budget: float, looks: tuple[float, ...]
) -> dict:
    """Train one side; return looks at dev, the test's values, steps and seconds."""
    import ours
    import theirs
    import torch
    from clock import Clock, Watch
    from judge import Judge

    torch.set_num_threads(1)
    judge, clock, before = Judge(data), Clock(budget), time.process_time()
    watch = Watch(clock, judge.look, looks)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        if side == "ours":
            rate = [f"optimizer.lr={setting['rate']:g}"] if "rate" in setting else []
            ours.train([*plan.STARTS[start].words, *setting["words"], *rate], data, seed, watch)
        else:
            theirs.train(start, theirs.Setting(**setting), judge.pairs(), judge.docs, seed, watch)  # type: ignore[arg-type]
    return {
        "setting": setting,
        "points": watch.points,
        "steps": watch.steps,
        "after_first_step": clock.first,
        "processor": time.process_time() - before,
        "test": judge.test,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
