"""What `hardneg race` takes on a set, in a process of its own and with a budget of wall time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from plan import Plan, read


def of(data: Path, plan: Plan, name: str) -> None:
    """Run the race of a set, unless that is done, and write the arm that it takes and that one's words.

    It sees train and dev alone. Its runs at the end, on other seeds, are its own: what it takes is trained here anew.
    """
    if plan.race(name).exists():
        return
    folder = plan.out / name / "race"
    more = plan.start.race_on.get(name, ("evaluate.bm25=null",))  # its own choice of a subset goes by BM25 too
    asked = [*plan.start.race, *more, "split.test=null"]
    own = [f"cache={folder}/cache", f"hydra.sweep.dir={folder}"]
    command = ["race", "data=beir", f"data.path={data}", *plan.start.words, *asked, *own]
    subprocess.run([sys.executable, "-m", "hardneg", *command], check=True)
    said = read(folder / "summary.json")
    kept = ("winner", "why", "budget_seconds", "spent_seconds")
    found = {"arm": said["take"], "words": said["arms"][said["take"]]["words"], **{key: said[key] for key in kept}}
    plan.race(name).write_text(json.dumps(found) + "\n", encoding="utf-8")
