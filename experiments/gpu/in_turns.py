"""Whole trainers side by side in one process, one at a time: each hands over at the end of its turn."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from typing import Any

from part import Part, forget_peak, peak_memory, seconds

from hardneg.errors import UserError


class Turns:
    """An arm in a thread of its own, which runs only while `turn` waits for it."""

    def __init__(self, train: Callable[[Callable[[], None]], float]) -> None:
        self.mine, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.loss, self.ended = float("nan"), False
        self.thread = threading.Thread(target=self._run, args=(train,), daemon=True)
        self.thread.start()

    def _run(self, train: Callable[[Callable[[], None]], float]) -> None:
        self.mine.acquire()
        try:
            self.loss = train(self._hand_over)
        except BaseException as error:
            self.error = error
        self.ended = True
        self.back.release()

    def _hand_over(self) -> None:
        self.back.release()
        self.mine.acquire()

    def turn(self) -> None:
        """Let it work until it hands over; raises what it raised."""
        self.mine.release()
        self.back.acquire()
        if self.error is not None:
            raise self.error


def measure(part: Part, work: Any, job: Any, arms: dict[str, Any], base: str, flops: float, best: float) -> None:
    """Train the arms in turns and add a row for each; an arm that cannot run is left out, with a line that says why.

    Raises `UserError` in the end where it was not for a package that is absent.

    `flops` is what a step needs (see `made_up.step_flops`), `best` the measured peak a second. "MiB" is what an arm's
    turns took above what all arms together hold.
    """
    from train_speed_arms import Clock

    running: dict[str, Turns] = {}
    broken: list[str] = []
    for name, arm in arms.items():
        turns = Turns(lambda hand_over, arm=arm: arm(work, job, Clock(job, hand_over)))
        try:
            part.note(f"{name}: {seconds(turns.turn, part.device):.1f} s until {job.warmup} steps were done")
            running[name] = turns
        except (Exception, SystemExit) as error:
            part.note(f"{name}: left out, {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
            broken += [] if isinstance(error, ImportError) else [name]
    times: dict[str, list[float]] = {name: [] for name in running}
    memory = dict.fromkeys(running, 0.0)
    for number in range(job.turns):
        for name in list(running) if number % 2 == 0 else list(running)[::-1]:
            held = forget_peak(part.device)
            times[name].append(seconds(running[name].turn, part.device) / job.steps)
            memory[name] = max(memory[name], peak_memory(part.device) - held)
    for turns in running.values():
        while not turns.ended:
            turns.turn()
    for name, found in times.items():
        middle = statistics.median(found)
        row = {"model": model_name(work), "arm": name, "batch": job.batch, "ms a step": 1000 * middle}
        row |= {"pairs/s": job.batch / middle, "of matmul peak": flops / middle / best}
        if base in times:
            ratios = sorted(b / own for b, own in zip(times[base], found, strict=True))
            row[f"speed to {base}"] = statistics.median(ratios)
            row["lowest"], row["highest"] = ratios[0], ratios[-1]
        part.add(**row, MiB=round(memory[name]), loss=float(running[name].loss))
    if broken:
        raise UserError(f"{', '.join(broken)} did not run")


def model_name(work: Any) -> str:
    """The last part of the model's folder, or its name."""
    return str(work.model).rsplit("/", 1)[-1]
