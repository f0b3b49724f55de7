"""Embedding a corpus shard by shard: in bounded memory, resumable after a kill, and no text twice."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hardneg.errors import UserError
from hardneg.serving.documents import Documents
from hardneg.serving.shards import Known, Shard, write_shard
from hardneg.serving.text_encoder import TextEncoder
from hardneg.system.cache import built_once, fingerprint
from hardneg.system.counts_in_words import counted
from hardneg.system.progress import Progress, progress
from hardneg.system.screen import in_short

log = logging.getLogger(__name__)

TIMED = 256  # documents that the estimate is made from
CUT = "documents embedded now"  # of which some may be longer than the encoder reads


@dataclass(frozen=True)
class Embedding:
    """What is to be embedded: a corpus cut into shards, some of which may exist, as may vectors of some texts.

    A shard is named by its documents and by all that decides their vectors, so an existing one is never stale.
    """

    documents: Documents
    encoder: TextEncoder
    space: str
    size: int
    known: Known
    folder: Path

    def cuts(self) -> list[tuple[range, Path]]:
        """The rows and the folder of each shard."""
        starts = range(0, len(self.documents), self.size)
        rows = [range(start, min(start + self.size, len(self.documents))) for start in starts]
        return [(cut, self.folder / fingerprint([self.space, self.documents.slice(cut).hash])) for cut in rows]

    def todo(self) -> np.ndarray:
        """The rows that must be embedded: those of missing shards whose text is not known."""
        missing = [cut for cut, folder in self.cuts() if not folder.exists()]
        places = [np.array(cut)[self.known.find(self.documents.digests[cut.start : cut.stop]) < 0] for cut in missing]
        return np.concatenate([*places, np.empty(0, np.int64)]).astype(np.int64)

    def run(self) -> list[Shard]:
        """Embed what is missing; a kill loses only the shard at hand."""
        todo = self.todo()
        estimate(self, todo)
        shards = []
        with progress(len(todo), "embed documents", "documents") as bar:
            for cut, folder in self.cuts():
                shards.append(Shard(built_once(folder, partial(self._fill, cut=cut, bar=bar))))
        if said := self.encoder.truncation.told(CUT, "max_length"):
            log.info("%s", said, extra=in_short(self.encoder.truncation.in_short(CUT, "max_length")))
        return shards

    def _fill(self, folder: Path, cut: range, bar: Progress) -> None:
        part = self.documents.slice(cut)
        places = self.known.find(part.digests)
        vectors = np.empty((len(part), self.encoder.dim), np.float32)
        vectors[places >= 0] = self.known.take(places[places >= 0], self.encoder.dim)
        fresh = np.flatnonzero(places < 0)
        vectors[fresh] = self.encoder.documents(part.texts.take(fresh), bar)
        if (broken := np.flatnonzero(~np.isfinite(vectors).all(axis=1))).size:
            name = part.texts.ids[int(broken[0])].as_py()
            raise UserError(f"the encoder makes no numbers of document {name!r} (NaN or infinite); take another one")
        write_shard(folder, part, vectors)


def estimate(embedding: Embedding, todo: np.ndarray) -> float | None:
    """Say how long embedding will take, from a timed sample; return seconds, None where it is less than a sample."""
    documents = embedding.documents
    total, known = counted(len(documents), "document"), f"{len(documents) - len(todo):,}"
    if len(todo) <= 2 * TIMED:
        log.info("%s: %s to embed, %s there", total, f"{len(todo):,}", known)
        return None
    rows = todo[np.linspace(0, len(todo) - 1, TIMED).astype(np.int64)]
    embedding.encoder.documents(documents.texts.take(rows[:8]))  # the first call is slower than all others
    begun = time.perf_counter()
    embedding.encoder.documents(documents.texts.take(rows))
    pace = TIMED / (time.perf_counter() - begun)
    seconds = len(todo) / pace
    begins, about = f"{total}: {len(todo):,} to embed", f"about {duration(seconds)} at {pace:,.0f}"
    log.info(
        "%s, %s done already; %s documents a second (%s, %s)",
        *(begins, known, about, embedding.encoder.device, embedding.encoder.precision),
        extra=in_short(f"{begins}, {about} a second"),
    )
    return seconds


def duration(seconds: float) -> str:
    """Say a time in its largest two units."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
