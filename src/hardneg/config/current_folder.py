"""Your own code in the current folder: only the packages that HARDNEG_TARGETS lists are imported from there."""

from __future__ import annotations

import logging
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)


def admitted() -> tuple[str, ...]:
    """What HARDNEG_TARGETS lists, as "mypackage.,other."."""
    return tuple(filter(None, os.environ.get("HARDNEG_TARGETS", "").split(",")))


class CurrentFolder:
    """Finds some top-level names in a folder; the folder is not on `sys.path`, so nothing else there is imported.

    A folder `wandb`, which W&B writes, would be taken for the package.
    """

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find one of the names; `import` asks this last."""
        return PathFinder.find_spec(name, [self.folders[name]]) if name in self.folders else None

    def allow(self, target: str) -> None:
        """Let the package of a target be found in the current folder, if it is admitted and nowhere else; log that."""
        package = target.split(".")[0]
        if package in self.folders or not target.startswith(admitted() or ("\0",)) or package in sys.modules:
            return
        if find_spec(package) is not None or PathFinder.find_spec(package, [str(Path.cwd())]) is None:
            return
        self.folders[package] = str(Path.cwd())
        if self not in sys.meta_path:
            sys.meta_path.append(self)  # type: ignore[arg-type]
        log.info("%s is imported from the current folder, %s", package, Path.cwd())


current_folder = CurrentFolder()
