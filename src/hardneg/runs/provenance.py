"""Where results come from: data, command, machine and the state of the code."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import hardneg
from hardneg.config import classes
from hardneg.config.command_words import command_line
from hardneg.data.other_sets import others
from hardneg.data.readers.folders import is_hub_name
from hardneg.system.package_versions import versions

PACKAGES = (
    *("torch", "lightning", "transformers", "tokenizers", "datasets", "numpy", "hydra-core"),
    *("bm25s", "pytrec_eval-terrier", "faiss-cpu", "peft", "sentence-transformers"),
)


def provenance(cfg: Any) -> dict[str, Any]:
    """Return the version of `hardneg`, `packages`, `data_path` (of several sets one each), `command`, `host`, `commit`.

    The commit is that of the working directory, with `-dirty` behind it where files differ from it, else that of the
    package; None where neither is in a git repository. `repository` is that of the working directory, None where there
    is none: where the package lies says nothing about the work.
    """
    commit, repository = commit_of(Path.cwd())
    commit = commit or _described(Path(hardneg.__file__).parent)
    return {
        "hardneg": hardneg.__version__,
        "packages": {"python": platform.python_version(), **versions(PACKAGES)},
        "data_path": data_path(classes.plain(cfg.data)),
        "command": command_line(*sys.argv[1:]),
        "host": socket.gethostname(),
        "commit": commit,
        "repository": repository,
    }


def data_path(node: dict[str, Any]) -> Any:
    """Where data lie: an absolute path, a name on the hub, for each of several sets by its name; None where made."""
    if sets := node.get("sets"):
        return {name: data_path(one) for name, one in sets.items()}
    if path := node.get("path"):
        return str(path) if is_hub_name(path) else str(Path(path).expanduser().absolute())
    return node.get("repo") or node.get("id")


def other_paths(cfg: Any) -> dict[str, Any]:
    """Return `also_path`, where the data of `evaluate.also` lie by their names; nothing where there are none."""
    found = others(classes.plain(cfg.evaluate.get("also")), str(cfg.cache))
    return {"also_path": {name: data_path(node) for name, (node, _) in found.items()}} if found else {}


def commit_of(*folders: Path) -> tuple[str | None, str | None]:
    """The commit of the first of these folders that is in a git repository, and that repository."""
    for folder in folders:
        if top := _git(folder, "rev-parse", "--show-toplevel"):
            return _described(folder), top
    return None, None


def _described(folder: Path) -> str | None:
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    # Without the lock that reading the index would take: others may be at work in the repository.
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=10, env=quiet
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a repository on a slow disk
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
