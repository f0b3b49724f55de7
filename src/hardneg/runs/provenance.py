"""Where results come from: data, command, machine and the state of the code."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import hardneg
from hardneg.config import classes
from hardneg.data.other_sets import others


def provenance(cfg: Any) -> dict[str, Any]:
    """Return `data_path` (of several sets one each), `command`, `host`, `commit` and the `repository` it is of.

    The commit is that of the working directory, with `-dirty` behind it where files differ from it, else that of the
    package; both are None where neither is in a git repository.
    """
    commit, repository = commit_of(Path.cwd(), Path(hardneg.__file__).parent)
    return {
        "data_path": data_path(classes.plain(cfg.data)),
        "command": shlex.join(["hardneg", *sys.argv[1:]]),
        "host": socket.gethostname(),
        "commit": commit,
        "repository": repository,
    }


def data_path(node: dict[str, Any]) -> Any:
    """Where data lie: an absolute path, a name on the hub, for each of several sets by its name; None where made."""
    if sets := node.get("sets"):
        return {name: data_path(one) for name, one in sets.items()}
    if path := node.get("path"):
        return str(Path(path).expanduser().absolute())
    return node.get("repo")


def other_paths(cfg: Any) -> dict[str, Any]:
    """Return `also_path`, where the data of `evaluate.also` lie by their names; nothing where there are none."""
    found = others(classes.plain(cfg.evaluate.get("also")), str(cfg.cache))
    return {"also_path": {name: data_path(node) for name, (node, _) in found.items()}} if found else {}


def commit_of(*folders: Path) -> tuple[str | None, str | None]:
    """The commit of the first of these folders that is in a git repository, and that repository."""
    for folder in folders:
        if top := _git(folder, "rev-parse", "--show-toplevel"):
            return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"), top
    return None, None


def _git(folder: Path, *words: str) -> str | None:
    # Without the lock that a look at the index would take: others may be at work in the repository.
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=10, env=quiet
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a repository on a slow disk
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
