"""One build of an index, opened with its model and checked before it may answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

from hardneg.data.tables import Texts
from hardneg.errors import ConfigError
from hardneg.serving.backends.base import Vectors
from hardneg.serving.builds import Build
from hardneg.serving.documents import Documents
from hardneg.serving.freshness import Freshness, examine
from hardneg.serving.manifest import NAME
from hardneg.serving.reader_hold import Hold
from hardneg.serving.text_encoder import TextEncoder

log = logging.getLogger(__name__)

MOST = 64  # shards of which a vector is made again when an index is opened; `hardneg check` does it with all
NEW = 8  # vectors of each shard that are made again before a new build may answer


@dataclass(frozen=True)
class Hit:
    """A found document."""

    id: str
    score: float
    text: str


@dataclass(frozen=True)
class OpenedBuild:
    """One build, ready to answer."""

    build: Build
    vectors: Vectors
    encoder: TextEncoder
    freshness: Freshness
    documents: list[Documents]  # mapped on opening: later their files may be gone
    hold: Hold

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        return {
            name: (number, row)
            for number, documents in enumerate(self.documents)
            for row, name in enumerate(documents.texts.ids.to_pylist())
        }

    def __enter__(self) -> OpenedBuild:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(self, queries: Sequence[str], k: int) -> list[tuple[Hit, ...]]:
        """Embed the queries and ask the backend; one of which the model reads no token finds nothing.

        Its embedding is zero, so that every document would have the score 0.
        """
        embedded = self.encoder.queries(queries)
        return [
            tuple(Hit(name, score, self.text(name)) for name, score in found) if vector.any() else ()
            for vector, found in zip(embedded, self.vectors.search(embedded, k), strict=True)
        ]

    def examine(self) -> Freshness:
        """Examine it again, by another sample of its vectors."""
        return examine(self.build, self.encoder, self.vectors, most=MOST)

    def text(self, name: str) -> str:
        """The text of a document, as it was indexed."""
        number, row = self._places[name]
        return self.documents[number].texts[row]

    def close(self) -> None:
        """Release files, connections and the build."""
        self.vectors.close()
        self.hold.release()


def open_build(
    build: Build, encoder: TextEncoder, corpus: Texts | None = None, allow_stale: bool | None = None, new: bool = False
) -> OpenedBuild:
    """Open, hold and check one build; a `new` one more closely, with vectors of every shard made again.

    `allow_stale` is what the user chose; None where there is no such choice, so that the error does not suggest it.

    Raises `StaleIndex` for a stale one unless that is allowed, `UserError` for one that was removed meanwhile.
    """
    with ExitStack() as undo:  # what was opened is closed again if anything fails
        hold = Hold(build.folder / NAME)
        undo.callback(hold.release)
        _check_width(build, encoder)
        encoder = encoder.at(build.manifest.dim)
        vectors = build.backend.open(build.vectors)
        undo.callback(vectors.close)
        freshness = examine(build, encoder, vectors, corpus, NEW if new else 1, None if new else MOST)
        if not freshness.fresh:
            if not allow_stale or not build.intact:
                freshness.require(
                    " (--allow-stale goes on all the same)" if build.intact and allow_stale is False else ""
                )
            log.warning("%s. To repair it: %s", freshness, freshness.mend)
        opened = OpenedBuild(build, vectors, encoder, freshness, [shard.documents for shard in build.shards], hold)
        undo.pop_all()
    return opened


def _check_width(build: Build, encoder: TextEncoder) -> None:
    if encoder.towers.dim < build.manifest.dim:
        raise ConfigError(
            f"{build.folder} holds embeddings of width {build.manifest.dim}, and the model makes {encoder.towers.dim}:"
            " they cannot be compared, whatever is allowed"
        )
