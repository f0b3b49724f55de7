"""Run a hardneg command in this process and write what each of its phases took, as JSON.

usage: phases.py OUT.json COMMAND [WORDS ...]

A phase is what a progress bar shows; what is between bars is "the rest". Within another phase, the inner one counts.
Each has wall and processor seconds (user and system, all threads), and the largest memory seen meanwhile:
`peak_mb` as the system counts it, and `held_mb` of it that is the process's own. The difference is pages of files that
are mapped, which the system takes back when it needs them.

Of several ranks each writes its own file: OUT.json of the first, OUT-rank1.json and so on of the others.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from held_memory import mib

EVERY = 0.1  # seconds between two looks at the memory
REST = "the rest"


class Phases:
    """Seconds and memory by phase, in the order in which they first came."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}
        self._open = [REST]
        self._since = self._now()
        self._lock = threading.Lock()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def _row(self) -> dict[str, float]:
        empty = {"seconds": 0.0, "cpu": 0.0, "peak_mb": 0.0, "held_mb": 0.0}
        return self.rows.setdefault(self._open[-1], empty)

    def _charge(self) -> None:
        """Put what has passed since the last change down to the innermost phase."""
        now, row = self._now(), self._row()
        row["seconds"] += now[0] - self._since[0]
        row["cpu"] += now[1] - self._since[1]
        self._since = now

    def look(self) -> None:
        """Look at the memory, for the innermost phase."""
        peak, held = mib("VmRSS"), mib("RssAnon")
        with self._lock:
            row = self._row()
            row["peak_mb"], row["held_mb"] = max(row["peak_mb"], peak), max(row["held_mb"], held)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Everything within this is of a phase; a look at its end catches those that are over in a moment."""
        with self._lock:
            self._charge()
            self._open.append(name)
        try:
            yield
        finally:
            self.look()
            with self._lock:
                self._charge()
                self._open.pop()

    def written(self) -> dict[str, Any]:
        """Return all as plain values."""
        self.look()
        with self._lock:
            self._charge()
        used = resource.getrusage(resource.RUSAGE_SELF)
        whole = {
            "seconds": sum(row["seconds"] for row in self.rows.values()),
            "cpu": used.ru_utime + used.ru_stime,
            "peak_mb": max(row["peak_mb"] for row in self.rows.values()),
            "held_mb": max(row["held_mb"] for row in self.rows.values()),
        }
        return {**whole, "phases": self.rows}


@contextmanager
def watched(out: Path) -> Iterator[Phases]:
    """Look at the memory while this runs, and write what was seen to a file."""
    phases, over = Phases(), threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            phases.look()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield phases
    finally:
        over.set()
        out.write_text(json.dumps(phases.written(), indent=1) + "\n")


def main() -> None:
    """Time every bar, and run the command."""
    import hardneg.system.progress as bars

    out, words = Path(sys.argv[1]), sys.argv[2:]
    rank = int(os.environ.get("RANK", "0"))
    shown = bars.progress

    with watched(out if rank == 0 else out.with_name(f"{out.stem}-rank{rank}.json")) as phases:

        @contextmanager
        def timed(total: int | None, what: str, unit: str = "") -> Iterator[bars.Progress]:
            with phases.phase(what), shown(total, what, unit) as bar:
                yield bar

        bars.progress = timed  # before any other module takes its name
        sys.argv = ["hardneg", *words]
        from hardneg.cli import main as command

        command()


if __name__ == "__main__":
    main()
