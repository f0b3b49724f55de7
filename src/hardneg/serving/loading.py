"""Loading shards into a backend: from nothing, or from a copy of a build in which little changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardneg.retrieval.search import SAMPLE
from hardneg.serving.backends.base import Backend, Vectors
from hardneg.serving.builds import PLAN, Build, read_plan
from hardneg.serving.documents import CorpusDifference, Documents
from hardneg.serving.recall import even_sample
from hardneg.serving.shards import Shard
from hardneg.system.atomic_write import atomic_write
from hardneg.system.progress import progress

TOO_DIFFERENT = 0.3  # share of changed documents from which on a copy is no better than an empty start


@dataclass(frozen=True)
class Base:
    """A build to copy first, and what has changed since."""

    build: Build
    old: Documents
    change: CorpusDifference


def base_of(documents: Documents, backend: Backend, earlier: Sequence[Build]) -> Base | None:
    """The latest build with the same space and backend since which little has changed; None without one."""
    for build in reversed(earlier) if backend.incremental else ():
        if build.intact and build.manifest.backend == backend.identity():
            old = Documents.joined([shard.documents for shard in build.shards])
            change = documents.against(old)
            if len(change.fresh) + len(change.extra) <= TOO_DIFFERENT * len(documents):
                return Base(build, old, change)
    return None


def load(build: Build, backend: Backend, shards: list[Shard], dim: int, base: Base | None) -> Vectors:
    """Fill the build; what a killed process had loaded durably is not loaded again."""
    plan = build.folder / PLAN
    name = base.build.name if base else None
    began = read_plan(build.folder) if backend.durable else {}
    if "loaded" not in began or began["base"] != name:
        backend.drop(build.vectors)
        shutil.rmtree(build.folder, ignore_errors=True)
        build.folder.mkdir(parents=True)
        began = {
            "backend": backend.identity(),
            "base": name,
        }  # first, so that a server's part can be found again
        _write(plan, began)
        if base is not None:
            backend.copy(base.build.vectors, build.vectors)
        began = {**began, "loaded": 0}
        _write(plan, began)
    total = sum(map(len, shards))
    if base is None:
        vectors = backend.create(build.vectors, dim, total)
    else:
        vectors = backend.open(build.vectors)
        vectors.delete(base.old.texts.ids.take(base.change.extra).to_pylist())
    if not vectors.trained:
        vectors.train(even_sample(shards, SAMPLE))
    wanted = np.arange(total) if base is None else base.change.fresh
    start = 0
    with progress(len(wanted), "load into the index", "documents") as bar:
        for number, shard in enumerate(shards):
            rows = wanted[(wanted >= start) & (wanted < start + len(shard))] - start
            if len(rows) and number >= began["loaded"]:
                vectors.upsert(shard.documents.texts.ids.take(rows).to_pylist(), shard.vectors[rows])
                if backend.durable:
                    _write(plan, {**began, "loaded": number + 1})
            start += len(shard)
            bar.update(len(rows))
    vectors.save()
    return vectors


def _write(path: Path, plan: dict[str, Any]) -> None:
    with atomic_write(path, alone=True) as draft:
        draft.write_text(json.dumps(plan), encoding="utf-8")
