"""The folder of an index: complete builds side by side, and a pointer to the one that answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardneg.config.command_words import command_line, to_type
from hardneg.errors import UserError
from hardneg.serving.builds import OURS, Build, read_plan
from hardneg.serving.manifest import NAME, RETIRED
from hardneg.serving.reader_hold import unheld
from hardneg.system.atomic_write import atomic_write
from hardneg.system.file_lock import locked

POINTER = "live.json"
POINTING = 30.0  # seconds to wait for another process that moves the pointer, which takes it milliseconds
MARK = ".hardneg-index"  # written first, so a folder with other files but not this one is somebody else's


class IndexFolder:
    """`builds/`, `shards/`, and `live.json`: the live build, those that were live before it, and those put beside."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve()  # one spelling of the path, as what lies below is identified by it

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
        indexing = UserError(f"{self.root}: another process is indexing here; wait for it or end it")
        with locked(self.root / ".lock", lambda: indexing):
            yield

    @contextmanager
    def _pointing(self) -> Iterator[None]:
        """Let one process at a time move the pointer; this does not wait for another one that is indexing."""
        switching = UserError(f"{self.root}: another process is switching here, and does not end; end it")
        with locked(self.root / f".{POINTER}.lock", lambda: switching, POINTING):
            yield

    def _claim(self) -> None:
        """Mark the folder as an index, from which `prune` may remove things."""
        self.root.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.root.iterdir()}  # once more: another process may just be marking it
        if MARK in names:
            return
        if names and POINTER not in names:  # with it, it is a copy of an index without its hidden files
            raise UserError(
                f"index.path={self.root} holds other things than an index ({', '.join(sorted(names)[:3])}); name a new"
                " or an empty folder"
            )
        (self.root / MARK).write_text("hardneg index keeps this folder, and removes old builds from it\n", "utf-8")

    def builds(self) -> list[Build]:
        """The complete builds, oldest first."""
        names = [path.parent.name for path in self.root.glob(f"builds/*/{NAME}")]
        found = [Build(self.root, name) for name in names if OURS.fullmatch(name)]
        return sorted((build for build in found if build.readable), key=lambda build: build.manifest.created)

    def stack(self) -> list[str]:
        """The names of the live build and of those that were live before, latest first."""
        return list(self._pointer()["live"])

    @property
    def beside(self) -> list[str]:
        """The names of the builds that were put beside the live one on purpose."""
        return self._there(sorted({name for names in self._kept().values() for name in names}))

    def _kept(self) -> dict[str, list[str]]:
        """The builds that are kept beside, by who keeps them."""
        return dict(self._pointer().get("beside") or {})

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
            make, switch = to_type("index.path", self.root), command_line("index", "switch", self.root, "BUILD")
            known = f"; complete builds: {', '.join(names)}: {switch}" if names else ""
            raise UserError(f"{self.root} has no live index; hardneg index ... {make} makes one{known}")
        return Build(self.root, stack[0])

    def named(self, name: str) -> Build:
        """A complete build by its name or the beginning of it; raises `UserError` with a list of those that exist."""
        found = [build for build in self.builds() if build.name.startswith(name)]
        if len(found) != 1:
            names = ", ".join(build.name for build in self.builds()) or "none"
            raise UserError(f"{self.root} has {'no' if not found else 'several'} builds {name}; there are {names}")
        return found[0]

    def chosen(self, name: str | None) -> Build:
        """The build of this name, or the one that answers; raises `UserError` where there is none."""
        return self.live() if name is None else self.named(name)

    def switch(self, build: Build) -> None:
        """Have this build answer from now on: by one rename, so that readers see the old pointer or the new one."""
        with self._pointing():
            self._check_there(build)
            build.backend.switch(build.vectors)
            self._point([build.name, *(name for name in self.stack() if name != build.name)])

    def put_beside(self, *builds: Build, by: str = "index") -> None:
        """Keep these builds until they are switched to, or others are put beside `by` the same name.

        Raises `UserError` for one that was removed meanwhile.
        """
        with self._pointing():
            for build in builds:
                self._check_there(build)
            self._point(self.stack(), self._kept() | {by: [build.name for build in builds]})

    def rollback(self) -> Build:
        """Make the build live again that was live before; raises `UserError` where there is none left."""
        with self._pointing():
            before = self._there(self.stack()[1:])
            if not before:
                raise UserError(f"{self.root} keeps no build that was live before; there is nothing to roll back to")
            build = Build(self.root, before[0])
            build.backend.switch(build.vectors)
            self._point(before)
            return build

    def _check_there(self, build: Build) -> None:
        if not self._there([build.name]):
            raise UserError(f"{build.folder} was removed, or never finished; run the command that made it again")

    def _there(self, names: list[str]) -> list[str]:
        return [name for name in names if (self.root / "builds" / name / NAME).is_file()]

    def _point(self, names: list[str], beside: dict[str, list[str]] | None = None) -> None:
        """Write the pointer; builds beside stay there, unless one is live now or others are named."""
        kept = self._kept() if beside is None else beside
        kept = {by: [one for one in self._there(ones) if one not in names[:1]] for by, ones in kept.items()}
        with atomic_write(self.root / POINTER, alone=True) as draft:
            values = {"live": names, "beside": {by: ones for by, ones in kept.items() if ones}}
            draft.write_text(json.dumps(values), encoding="utf-8")

    def prune(self, keep: int, also: Build, space: str | None = None) -> None:
        """Remove all but the `keep` latest live builds, those put beside and `also`, and shards that no build needs.

        Nothing is touched whose name is not one that we give. With `space` no other build of that space is kept, as its
        vectors are not trusted. What somebody has open is removed the next time; what a server refuses to remove is
        logged and left.
        """
        with self._pointing():
            kept = {also.name, *self._live(keep, also, space)}
            kept.update(name for name in self.beside if self._trusted(name, also, space))
            for build in self.builds():
                if build.name not in kept:
                    build.retire()
        needed = {one["name"] for build in self.builds() for one in build.manifest.shards}
        for path in self.root.glob("builds/*"):
            if OURS.fullmatch(path.name) and not (path / NAME).is_file():
                needed |= self._remove(Build(self.root, path.name), space)
        for path in self.root.glob("shards/*"):
            if OURS.fullmatch(path.name) and path.name.removesuffix(".lock") not in needed:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _live(self, keep: int, also: Build, space: str | None) -> list[str]:
        """Cut the stack, and return the rest."""
        names = [name for name in self.stack() if self._trusted(name, also, space)][:keep]
        if self.stack():
            self._point(names)
        return names

    def _trusted(self, name: str, also: Build, space: str | None) -> bool:
        there = bool(self._there([name]))
        return there and (name == also.name or Build(self.root, name).manifest.space != space)

    def _remove(self, build: Build, space: str | None) -> set[str]:
        """Remove a retired or unfinished build; return the shards of one that somebody has open, unless of `space`."""
        if build.retired:
            with unheld(build.folder / RETIRED) as free:
                if not free:
                    return {one["name"] for one in build.manifest.shards if build.manifest.space != space}
                build.drop(build.manifest.backend)
        else:
            build.drop(read_plan(build.folder).get("backend"))
        return set()
