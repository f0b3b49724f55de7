"""The live index: the build that answers, followed when another one goes live."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.tables import Texts
from hardneg.errors import ConfigError
from hardneg.serving import canaries
from hardneg.serving.builds import Build
from hardneg.serving.freshness import Freshness
from hardneg.serving.index_folder import POINTER, IndexFolder
from hardneg.serving.opened_build import Hit, OpenedBuild, open_build
from hardneg.serving.text_encoder import TextEncoder

log = logging.getLogger(__name__)

BEHIND = "another build went live and could not be opened"
AGAIN = 10.0  # seconds until a build that could not be opened is tried again


@dataclass(frozen=True)
class Answer:
    """What was found for one query, best first, by which build, and how fresh that is."""

    hits: tuple[Hit, ...]
    build: str
    freshness: str


class LiveIndex:
    """Answers queries with the live build; follows a switch between two queries, without an error in between.

    `ckpt_path` null takes the checkpoint that the manifest names, also after a switch to a build of another model.
    `corpus`, if given, is compared with the index when it is opened. A stale index is refused (`StaleIndex`) unless
    `allow_stale`, which says so in every answer. A newer build that cannot be opened leaves the older one answering,
    as each answer says; it is tried again every few seconds. Any number of threads may ask.
    """

    def __init__(
        self,
        root: str | Path,
        ckpt_path: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        corpus: Texts | None = None,
        allow_stale: bool = False,
    ) -> None:
        self.folder = IndexFolder(root)
        self._ckpt_path, self._device, self._precision = ckpt_path, device, precision
        self._corpus, self.allow_stale = corpus, allow_stale
        self._encoders: dict[tuple[str, int], TextEncoder] = {}
        self._opening = threading.Lock()
        self._note = ""
        self._failed: tuple[Any, float] | None = None  # a stamp, and when to try it again
        self._pointer = self._stamp()
        self._opened = self._open_live()

    @property
    def opened(self) -> OpenedBuild:
        """The build that answers, for several questions to one build though another goes live meanwhile."""
        return self._opened

    @property
    def behind(self) -> bool:
        """Whether another build went live and could not be opened."""
        return bool(self._note)

    @property
    def build(self) -> Build:
        """The build that answers."""
        return self._opened.build

    @property
    def freshness(self) -> Freshness:
        """What was found when it was opened."""
        return self._opened.freshness

    def search(self, queries: Sequence[str], k: int = 10) -> list[Answer]:
        """Return the `k` best documents of each query; raises `ConfigError` for a `k` below 1."""
        if k < 1:
            raise ConfigError(f"k={k} must be 1 or more")
        self.follow()
        opened, note = self._opened, self._note  # one build for the whole answer, whatever is switched meanwhile
        said = f"{opened.freshness}{note}"
        return [Answer(hits, opened.build.name, said) for hits in opened.search(queries, k)]

    def follow(self) -> None:
        """Open the build that went live since, if any; one thread does so while others go on with the old one."""
        stamp = self._stamp()  # before the pointer is read, so that a switch in between is seen next time
        if stamp == self._pointer or self._waits(stamp) or not self._opening.acquire(blocking=False):
            return
        try:
            name = self.folder.stack()[0]
            if name != self._opened.build.name:
                # The old one is not closed: other threads may be asking it; it goes with its last reader.
                self._opened = self._open(Build(self.folder.root, name))
            self._pointer, self._failed, self._note = stamp, None, ""
        except Exception as error:  # libraries raise all sorts of errors; the old build can answer in any case
            note = f"; {BEHIND}: {error}"
            if note != self._note:
                log.warning("%s", note.removeprefix("; "))
            self._note, self._failed = note, (stamp, time.monotonic() + AGAIN)
        finally:
            self._opening.release()

    def _waits(self, stamp: Any) -> bool:
        """Whether this stamp failed just now: the reason may pass, but queries must not pay for each try."""
        failed = self._failed
        return failed is not None and failed[0] == stamp and time.monotonic() < failed[1]

    def close(self) -> None:
        """Let go of files and connections."""
        self._opened.close()

    def _open_live(self) -> OpenedBuild:
        while True:
            build = self.folder.live()
            try:
                return self._open(build)
            except Exception:  # another may have gone live meanwhile and be sound, and this one be removed
                if self.folder.live().name == build.name:
                    raise

    def _open(self, build: Build) -> OpenedBuild:
        opened = open_build(build, self._encoder(build), self._corpus, self.allow_stale)
        with ExitStack() as undo:
            undo.callback(opened.close)
            opened.search(canaries.TEXTS[:1], 1)  # indexes the texts by id now, so that no query waits for that
            undo.pop_all()
        return opened

    def _encoder(self, build: Build) -> TextEncoder:
        if self._ckpt_path and not Path(self._ckpt_path).is_file():
            raise ConfigError(f"ckpt_path={self._ckpt_path}: there is no such file")
        path = str(self._ckpt_path or build.checkpoint("give ckpt_path"))
        key = path, os.stat(path).st_mtime_ns
        if key not in self._encoders:
            self._encoders = {key: TextEncoder.load(path, self._device, self._precision)}
        return self._encoders[key]

    def _stamp(self) -> Any:
        """What changes when the pointer is replaced; reading it costs microseconds."""
        try:
            status = os.stat(self.folder.root / POINTER)
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino
