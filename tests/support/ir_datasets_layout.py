"""The small world as a set of the package ir_datasets, made of local files by its own classes."""

from __future__ import annotations

from pathlib import Path

import collection_layouts
import layouts


def register(folder: Path, monkeypatch, parts: dict[str, range] | None = None) -> None:
    """A set `tiny` of the package, with subsets of its own classes; parts: name -> rows of the world."""
    import ir_datasets as package

    monkeypatch.setenv("IR_DATASETS_HOME", str(folder / "home"))
    formats, util, base = package.formats, package.util, package.datasets.base
    world = layouts.world()
    collection_layouts.ms_marco(folder, world)
    docs = formats.TsvDocs(util.LocalDownload(folder / "collection.tsv"))
    monkeypatch.setattr(package.registry, "_registered", dict(package.registry._registered))
    package.registry.register("tiny", base.Dataset(docs))
    for name, rows in (parts or {"train": range(len(world))}).items():
        stem = name.replace("/", "-")
        collection_layouts.tsv(folder / f"{stem}.queries", [(1000 + i, world[i].query) for i in rows])
        qrels = [(1000 + i, 0, world[i].positive[0].split()[1], 1) for i in rows]
        collection_layouts.tsv(folder / f"{stem}.qrels", qrels)
        pairs = [(1000 + i, world[i].positive[0].split()[1], n[0].split()[1]) for i in rows for n in world[i].negatives]
        collection_layouts.tsv(folder / f"{stem}.pairs", pairs)
        subset = base.Dataset(
            docs,
            formats.TsvQueries(util.LocalDownload(folder / f"{stem}.queries")),
            formats.TrecQrels(util.LocalDownload(folder / f"{stem}.qrels"), {}),
            formats.TsvDocPairs(util.LocalDownload(folder / f"{stem}.pairs")),
        )
        package.registry.register(f"tiny/{name}", subset)
