"""Read W&B runs back from their folders, offline or online ones, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from hardneg.errors import DataError, UserError

STEP = "trainer/global_step"  # Lightning's name of the step, by which rows are numbered and curves drawn
UNKNOWN = "unknown"  # the state of a run of whose log nothing is there
AGAIN = 0.1  # seconds between two looks at a log that is not whole
_FIELDS = ("run_id", "project", "name", "group", "job_type", "state", "exit_code", "tags", "config", "summary")


def runs(root: str | os.PathLike[str], without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return every run below `root`, oldest first, with name, group, job type, state, config, summary, tags and id.

    Those whose id is in `without` are not read, which takes a third of a second each.

    A resumed run has one folder per attempt under the same id. Here it is one entry, so that it counts once in a mean
    over seeds: `dirs` lists the folders, the newest says the state, and a `{"max": ...}` in the summary spans them all.
    A run that was killed has the state `running`, as long as it is not resumed.

    Raises `DataError` for a log that cannot be read. A log without a first record (killed at once) is left out.
    """
    logs = {file.resolve() for file in Path(root).rglob("*run-*/run-*.wandb")}
    logs = {file for file in logs if file.stem.removeprefix("run-") not in without}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    # the names of the folders tell the second only
    for _, entry in sorted(filter(None, map(_attempt, logs)), key=lambda pair: pair[0]):
        key = (entry["project"], entry["run_id"])
        found[key] = _joined(found[key], entry) if key in found else entry
    return list(found.values())


def history(run_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the logged rows of one run folder, with `STEP` as the x axis.

    Raises `DataError` if there is no log in the folder or it cannot be read.
    """
    file = next(Path(run_dir).glob("*.wandb"), None)
    if file is None:
        raise DataError(f"{run_dir}: no W&B log (*.wandb) in this folder")
    return [record["history"]["item"] for record in _records(file) if record["type"] == "history"]


def wait_until_whole(run_dir: str | os.PathLike[str], patience: float) -> bool:
    """Wait until the log of a run that was closed has its end, `patience` seconds at most; return whether it has.

    W&B's service writes the last seconds of an offline log on its own time, after the run was closed.
    Raises `UserError` where wandb's reader does not start.
    """
    end = time.monotonic() + patience
    while not _has_its_end(Path(run_dir)):
        if time.monotonic() > end:
            return False
        time.sleep(AGAIN)
    return True


def _has_its_end(run_dir: Path) -> bool:
    file = next(run_dir.glob("*.wandb"), None)
    try:
        found = {} if file is None else json.loads("".join(_inspect(file, "--summary")))
    except (DataError, ValueError):  # half of a record
        return False
    return found.get("state", UNKNOWN) not in ("running", UNKNOWN)


def _attempt(file: Path) -> tuple[tuple[str, str], dict[str, Any]] | None:
    head = next((record["run"] for record in _records(file) if record["type"] == "run"), None)
    if head is None:
        return None
    whole = json.loads("".join(_inspect(file, "--summary")))
    entry = {key: whole.get(key) for key in _FIELDS}
    entry |= {"group": head.get("run_group"), "job_type": head.get("job_type"), "dirs": [file.parent]}
    return (head.get("start_time", ""), file.parent.name), entry


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    summary = dict(old["summary"] or {})
    for name, value in (new["summary"] or {}).items():
        before = summary.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and "max" in before and "max" in value:
            value = value | {"max": max(before["max"], value["max"])}  # wandb starts anew when it resumes offline
        summary[name] = value
    return new | {"summary": summary, "dirs": old["dirs"] + new["dirs"]}


def _records(file: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, _inspect(file))


def _inspect(file: Path, *flags: str) -> Iterator[str]:
    """Yield the lines that wandb's own reader prints; `wandb leet inspect` itself takes a second longer to start."""
    from wandb.util import get_core_path

    arguments = [
        "leet",
        "inspect",
        "--no-observability",
        "--json",
        *flags,
        "--run-file",
        str(file),
        str(file.parent.parent),
    ]
    try:
        process = subprocess.Popen(
            [get_core_path(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        raise UserError(f"wandb's log reader does not start ({error}); reinstall wandb") from error
    with process:
        assert process.stdout is not None and process.stderr is not None
        try:
            yield from process.stdout
            if process.wait() != 0:
                raise DataError(f"{file}: W&B log cannot be read: {process.stderr.read().strip()[-300:]}")
        finally:
            process.kill()  # the caller may want the first records only
