"""One build of an index: where it lies, what it was made of, and how it is removed."""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hardneg.config import classes
from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends.base import Backend
from hardneg.serving.manifest import NAME, RETIRED, Manifest
from hardneg.serving.shards import Shard

log = logging.getLogger(__name__)

PLAN = "plan.json"  # in the folder of a build, written before anything is loaded
OURS = re.compile(r"[0-9a-f]{24}(\.lock|\.tmp-[0-9a-f]{8})?")  # a fingerprint, and what `built_once` puts beside it


@dataclass(frozen=True)
class Build:
    """One complete index: a manifest, a place for the backend (`vectors`), and the shards that the manifest names."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.root / "builds" / self.name

    @cached_property
    def manifest(self) -> Manifest:
        """What it was made of."""
        return Manifest.read(self.folder, RETIRED if self.retired else NAME)

    def checkpoint(self, otherwise: str) -> str:
        """The checkpoint that it was made with; raises `ConfigError`, with what to do, where that is gone."""
        path = self.manifest.source.get("ckpt_path")
        if not path or not Path(path).is_file():
            raise ConfigError(f"{self.folder} was made with the checkpoint {path}, which is not there; {otherwise}")
        return path

    @property
    def retired(self) -> bool:
        """Whether it is kept only because somebody has it open."""
        return (self.folder / RETIRED).is_file() and not (self.folder / NAME).is_file()

    @property
    def shards(self) -> list[Shard]:
        """Its vectors and texts."""
        return [Shard(self.root / "shards" / one["name"]) for one in self.manifest.shards]

    @property
    def intact(self) -> bool:
        """Whether all its files exist."""
        return self.vectors.exists() and all(shard.folder.exists() for shard in self.shards)

    def retire(self) -> None:
        """Make it a build no longer, in one step; the manifest stays, to tell what must be removed."""
        (self.folder / NAME).replace(self.folder / RETIRED)

    @property
    def vectors(self) -> Path:
        """The backend's own place."""
        return self.folder / "vectors"

    @property
    def backend(self) -> Backend:
        """The backend that it was built for."""
        return classes.build({**self.manifest.backend, "path": str(self.root)})

    @property
    def readable(self) -> bool:
        """Whether it has a manifest; False where another process has just removed it."""
        try:
            return bool(self.manifest)
        except UserError:
            if (self.folder / NAME).is_file():
                raise
            return False

    def drop(self, backend: dict[str, Any] | None) -> None:
        """Remove what is no longer a build or never became one, here and at its server; null: it has no server."""
        try:
            if backend:
                classes.build({**backend, "path": str(self.root)}).drop(self.vectors)
        except UserError as error:
            log.warning("build %s is removed here, and what it has at its server is left: %s", self.name, error)
        shutil.rmtree(self.folder, ignore_errors=True)


def read_plan(folder: Path) -> dict[str, Any]:
    """What `loading` noted of a build: its backend, what it began as, how far it is; empty without such a note."""
    try:
        return json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
