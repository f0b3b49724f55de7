"""Building an index beside the live one: embed, load into the backend, measure, and write the manifest last."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hardneg.data.tables import RetrievalData
from hardneg.encoders.towers import DOCUMENT
from hardneg.errors import ConfigError, UserError
from hardneg.serving import canaries, embedding_space
from hardneg.serving.backends.base import Backend
from hardneg.serving.builds import Build
from hardneg.serving.documents import Documents
from hardneg.serving.embed_shards import Embedding
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.loading import base_of, load
from hardneg.serving.manifest import Manifest
from hardneg.serving.recall import NEAREST, recall
from hardneg.serving.shards import Known, Shard
from hardneg.serving.text_encoder import TextEncoder
from hardneg.system.cache import fingerprint
from hardneg.system.counts_in_words import counted
from hardneg.system.screen import in_short

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Builder:
    """Makes builds of one index; call `build` inside `folder.writing()`.

    `shard` is the number of documents in a shard. With `rebuild` nothing is reused: neither the vectors of unchanged
    documents nor a live build of the same corpus.

    Raises `ConfigError` for an empty `shard`.
    """

    folder: IndexFolder
    backend: Backend
    encoder: TextEncoder
    shard: int = 8192
    rebuild: bool = False

    def __post_init__(self) -> None:
        if self.shard < 1:
            raise ConfigError(f"shard={self.shard} must be 1 document or more")

    def build(self, data: RetrievalData, source: Mapping[str, Any]) -> Build:
        """Return the complete build of this corpus: the one that exists, if nothing has changed.

        `source` is kept in the manifest: `ckpt_path`, `data` (a config node) and `words` of the command. Raises
        `ConfigError` for several data sets in one and for an empty one, `UserError` for an encoder whose vectors are
        not finite.
        """
        _check(data)
        begun = time.perf_counter()
        documents, model = Documents.of(data.corpus), embedding_space.of(self.encoder)
        content = fingerprint(
            [model, self.encoder.precision, self.backend.identity(), documents.hash, data.name, self.shard]
        )
        builds = [] if self.rebuild else self.folder.builds()
        same = [one for one in builds if one.manifest.content == content]
        if same and _stays(same[-1], source):
            return same[-1]
        # Named after the build that it replaces: a killed rebuild goes on, and the next rebuild has another name.
        salt = self._replaced() if self.rebuild else [one.name for one in same[-1:]]
        space = fingerprint([model[DOCUMENT], self.encoder.precision])
        earlier = [one for one in builds if one.manifest.space == space]
        embedding = self._embedding(documents, space, salt, earlier)
        embedded = len(embedding.todo())
        shards = embedding.run()
        build = self._named(fingerprint([content, *salt]) if salt else content)
        found = self._fill(build, shards, documents, earlier)
        seconds = time.perf_counter() - begun
        manifest = Manifest(
            build=build.name,
            content=content,
            created=datetime.now(UTC).isoformat(timespec="microseconds"),
            model=model,
            space=space,
            precision=self.encoder.precision,
            dim=self.encoder.dim,
            dtype="float32",
            metric="cosine" if model[DOCUMENT]["normalize"] else "dot",
            backend=self.backend.identity(),
            corpus={"name": data.name, "hash": documents.hash, "count": len(documents)},
            shards=[{"name": one.name, "count": len(one), "hash": one.card["hash"]} for one in shards],
            canaries=canaries.as_plain(canaries.sing(self.encoder)),
            source=dict(source),
            measured={"seconds": round(seconds, 2), "embedded": embedded, f"recall@{NEAREST}": found},
        )
        manifest.write(build.folder)
        did, hits = f"{embedded:,} embedded now, in {seconds:,.1f} s", f"{found:.1%} of what exact search finds"
        log.info(
            "build %s: %s, %s; %s",
            *(build.name, counted(len(documents), "document"), did, hits),
            extra=in_short(f"{did}; {hits}"),
        )
        return build

    def _fill(self, build: Build, shards: list[Shard], documents: Documents, earlier: list[Build]) -> float:
        """Hand the vectors to the backend; return its recall. Raises `UserError` where it holds another number."""
        vectors = load(build, self.backend, shards, self.encoder.dim, base_of(documents, self.backend, earlier))
        try:
            if (count := vectors.count()) != len(documents):
                held, all_of = counted(count, "vector"), counted(len(documents), "document")
                raise UserError(f"{build.vectors} holds {held} of {all_of}; index again")
            return recall(vectors, shards)
        finally:
            vectors.close()

    def _replaced(self) -> list[str]:
        """The build that a rebuild replaces: the live one, or the latest where none went live."""
        return self.folder.stack()[:1] or [one.name for one in self.folder.builds()[-1:]]

    def _named(self, name: str) -> Build:
        """Give a build its name, or another where a removed build of that name still answers somebody."""
        build = Build(self.folder.root, name)
        return self._named(fingerprint([name])) if build.retired else build

    def _embedding(self, documents: Documents, space: str, salt: list[str], earlier: list[Build]) -> Embedding:
        newest_first = [shard for one in reversed(earlier) for shard in one.shards if shard.folder.exists()]
        known = Known(list({shard.name: shard for shard in newest_first}.values()))
        named = fingerprint([space, *salt]) if salt else space
        return Embedding(documents, self.encoder, named, self.shard, known, self.folder.root / "shards")


def _check(data: RetrievalData) -> None:
    if data.mixed:
        raise ConfigError("an index is of one data set: give it as data=beir, jsonl, ... instead of data=mix")
    if not len(data.corpus):
        raise ConfigError(f"data set {data.name!r} has no documents to index")


def _stays(build: Build, source: Mapping[str, Any]) -> bool:
    """Whether a build of the same documents and model will do; logs why, or why not."""
    if not build.intact:
        return False
    if (gone := moved(build, source)) is None:
        log.info("nothing to do: build %s is of these documents and model", build.name)
        return True
    # A manifest is never rewritten, as readers hold it; the vectors are there, so another build costs little.
    log.info(
        "build %s names %s, which is not there any more: another one names its new place",
        *(build.name, gone),
        extra=in_short("the checkpoint or the data have moved: another build names their new place"),
    )
    return False


def moved(build: Build, source: Mapping[str, Any]) -> str | None:
    """The checkpoint or data that a build names, where that is gone and `source` has it elsewhere; else None."""
    old = build.manifest.source
    for was, now in (
        (old.get("ckpt_path"), source.get("ckpt_path")),
        ((old.get("data") or {}).get("path"), (source.get("data") or {}).get("path")),
    ):
        if isinstance(was, str) and now not in (None, was) and not Path(was).exists():
            return was
    return None
