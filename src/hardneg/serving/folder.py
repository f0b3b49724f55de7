"""The folder of an index: complete builds beside each other, and a pointer to the one that answers."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hardneg import configs
from hardneg.errors import UserError
from hardneg.serving.backends.base import Backend
from hardneg.serving.manifest import NAME, Manifest
from hardneg.serving.shards import CARD, Shard

log = logging.getLogger(__name__)

POINTER = "live.json"
PLAN = "plan.json"  # in the folder of a build, from before anything of it is loaded
MARK = ".hardneg-index"  # written before all else, so a folder that has things but not this is somebody else's
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
        return Manifest.read(self.folder)

    @property
    def shards(self) -> list[Shard]:
        """Its vectors and texts."""
        return [Shard(self.root / "shards" / one["name"]) for one in self.manifest.shards]

    @property
    def intact(self) -> bool:
        """Whether the files are all there."""
        return self.vectors.exists() and all(shard.folder.exists() for shard in self.shards)

    @property
    def vectors(self) -> Path:
        """The backend's own place."""
        return self.folder / "vectors"

    @property
    def backend(self) -> Backend:
        """The backend that it was built for."""
        return configs.build({**self.manifest.backend, "path": str(self.root)})


class IndexFolder:
    """`builds/`, `shards/`, and `live.json`: the live build, those that were live before it, and the one put beside."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let one process at a time change the folder; readers go on.

        Raises `UserError` where another process does, and for a folder of other things than an index.
        """
        try:
            self._claim()
            (self.root / "builds").mkdir(parents=True, exist_ok=True)
            (self.root / "shards").mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"index.path={self.root}: cannot write there ({error.strerror}); name another") from error
        try:
            with FileLock(self.root / ".lock", timeout=0):
                yield
        except Timeout as error:
            raise UserError(f"{self.root}: another process is indexing here; wait for it or end it") from error

    def _claim(self) -> None:
        """Mark the folder as an index: what `prune` may remove things from."""
        self.root.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.root.iterdir()}  # once: another process may be marking it just now
        if MARK in names:
            return
        if names and not self._unmarked_index():
            raise UserError(
                f"index.path={self.root} holds other things than an index ({', '.join(sorted(names)[:3])}); name a new"
                " or an empty folder"
            )
        (self.root / MARK).write_text("hardneg index keeps this folder, and removes old builds from it\n", "utf-8")

    def _unmarked_index(self) -> bool:
        """Whether an earlier version of hardneg made this index, or was killed making it."""
        work = (f"builds/*/{NAME}", f"builds/*/{PLAN}", f"shards/*/{CARD}")
        parts = (path.parent.name for pattern in work for path in self.root.glob(pattern))
        return (self.root / POINTER).is_file() or any(OURS.fullmatch(part) for part in parts)

    def builds(self) -> list[Build]:
        """The complete builds, oldest first."""
        names = [path.parent.name for path in self.root.glob(f"builds/*/{NAME}")]
        found = [Build(self.root, name) for name in names if OURS.fullmatch(name)]
        return sorted(found, key=lambda build: build.manifest.created)

    def stack(self) -> list[str]:
        """The name of the live build, and behind it of those that were live before, latest first."""
        return list(self._pointer()["live"])

    @property
    def beside(self) -> str | None:
        """The name of the build that was put beside the live one on purpose; null for none."""
        name = self._pointer().get("beside")
        return name if name and (self.root / "builds" / name / NAME).is_file() else None

    def _pointer(self) -> dict[str, Any]:
        try:
            return json.loads((self.root / POINTER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"live": []}

    def live(self) -> Build:
        """The build that answers; raises `UserError` where there is none."""
        stack = self.stack()
        if not stack:
            names = [build.name for build in self.builds()]
            known = f"; complete builds: {', '.join(names)}: hardneg index switch {self.root} BUILD" if names else ""
            raise UserError(f"{self.root} has no live index; hardneg index ... index.path={self.root} makes one{known}")
        return Build(self.root, stack[0])

    def named(self, name: str) -> Build:
        """A complete build by its name or the beginning of it; raises `UserError` that lists those there are."""
        found = [build for build in self.builds() if build.name.startswith(name)]
        if len(found) != 1:
            names = ", ".join(build.name for build in self.builds()) or "none"
            raise UserError(f"{self.root} has {'no' if not found else 'several'} builds {name}; there are {names}")
        return found[0]

    def switch(self, build: Build) -> None:
        """Have this build answer from now on: one rename, so a reader sees the old pointer or the new one."""
        build.backend.switch(build.vectors)
        self._point([build.name, *(name for name in self.stack() if name != build.name)])

    def put_beside(self, build: Build) -> None:
        """Keep this build until it is switched to or another one is put beside; the live one needs no such thing."""
        if build.name not in self.stack()[:1]:
            self._point(self.stack(), build.name)

    def rollback(self) -> Build:
        """Have the build answer that was live before; raises `UserError` where there is none any more."""
        stack = self.stack()
        before = [name for name in stack[1:] if (self.root / "builds" / name / NAME).is_file()]
        if not before:
            raise UserError(f"{self.root} keeps no build that was live before; there is nothing to roll back to")
        build = Build(self.root, before[0])
        build.backend.switch(build.vectors)
        self._point(before)
        return build

    def _point(self, names: list[str], beside: str | None = None) -> None:
        """Write the pointer; the build that was beside stays so unless it is the live one now or another is named."""
        kept = beside or self.beside
        values = {"live": names} | ({"beside": kept} if kept and kept not in names[:1] else {})
        draft = self.root / f".{POINTER}.{os.getpid()}"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.root / POINTER)

    def prune(self, keep: int, also: Build, space: str | None = None) -> None:
        """Remove all but the `keep` latest live builds, the one put beside and `also`, and shards that none needs.

        Nothing is touched that has not a name as we give them. With `space` no other build of that space is kept: its
        vectors are not trusted. What a server does not let go of is said, and left there.
        """
        kept = {also.name, *self._live(keep, also, space)}
        if self.beside and self._trusted(self.beside, also, space):
            kept.add(self.beside)
        for build in self.builds():
            if build.name not in kept:
                backend = build.manifest.backend
                (build.folder / NAME).unlink()  # from here on it is no build, whatever interrupts
                self._drop(build, backend)
        for path in self.root.glob("builds/*"):
            if OURS.fullmatch(path.name) and not (path / NAME).is_file():
                self._drop(Build(self.root, path.name), read_plan(path).get("backend"))
        needed = {one["name"] for build in self.builds() for one in build.manifest.shards}
        for path in self.root.glob("shards/*"):
            if OURS.fullmatch(path.name) and path.name.removesuffix(".lock") not in needed:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _live(self, keep: int, also: Build, space: str | None) -> list[str]:
        """Cut the stack, and return what is left of it."""
        names = [name for name in self.stack() if self._trusted(name, also, space)][:keep]
        if self.stack():
            self._point(names)
        return names

    def _trusted(self, name: str, also: Build, space: str | None) -> bool:
        there = (self.root / "builds" / name / NAME).is_file()
        return there and (name == also.name or Build(self.root, name).manifest.space != space)

    def _drop(self, build: Build, backend: dict[str, Any] | None) -> None:
        """Remove a build that is none any more or never was one, at a server and here."""
        try:
            if backend:
                configs.build({**backend, "path": str(self.root)}).drop(build.vectors)
        except UserError as error:
            log.warning("build %s is removed here, and what it has at its server is left: %s", build.name, error)
        shutil.rmtree(build.folder, ignore_errors=True)


def read_plan(folder: Path) -> dict[str, Any]:
    """What `loading` wrote of a build: its backend, what it began as, how far it is; empty for nothing."""
    try:
        return json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
