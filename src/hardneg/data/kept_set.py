"""A data set as files that are mapped into memory: Arrow tables, arrays, and a card that lists them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hardneg.data.pair_scores import PairScores
from hardneg.data.parts import Part
from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.system.memory_map import Mapped


def write(data: RetrievalData, folder: Path) -> None:
    """Write tables as Arrow, numbers as arrays, and `card.json`, which lists them."""
    for side in ("corpus", "queries"):
        texts: Texts = getattr(data, side)
        batch = pa.record_batch([texts.ids, texts.texts], names=["id", "text"])
        with pa.OSFile(str(folder / f"{side}.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        np.save(folder / f"{side}-groups.npy", texts.groups)
    arrays: dict[str, Any] = {"own": data.own, "truth": data.truth, "given": data.given, "scored": data.scored}
    arrays |= {f"split-{number}": qrels for number, qrels in enumerate(data.qrels.values())}
    written = {name: list(_save(folder, name, value)) for name, value in arrays.items() if value is not None}
    card = {
        "name": data.name,
        "splits": list(data.qrels),
        "arrays": written,
        "fingerprints": {"corpus": data.corpus.fingerprint, "queries": data.queries.fingerprint},
        "skipped": dict(data.skipped),
        "query_prompt": data.query_prompt,
        "temper": data.temper,
        "blended": data.blended,
        "mixed": [_ends(part) for part in data.mixed],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2))


def _save(folder: Path, name: str, value: Any) -> Iterator[str]:
    """Save an array, or those of a table's fields; yields the fields' names."""
    if isinstance(value, np.ndarray):
        np.save(folder / f"{name}.npy", value)
        return
    for field in fields(value):
        if (array := getattr(value, field.name)) is not None:
            np.save(folder / f"{name}-{field.name}.npy", array)
            yield field.name


def _ends(part: Part) -> dict[str, Any]:
    ends = {side: [getattr(part, side).start, getattr(part, side).stop] for side in ("queries", "docs")}
    return {**asdict(part), **ends}


@dataclass(frozen=True)
class _Folder:
    """What `write` has written."""

    path: Path
    card: Mapping[str, Any]

    def array(self, name: str) -> np.ndarray:
        return Mapped(self.path / f"{name}.npy").array

    def table(self, name: str, kind: type) -> Any:
        """Open a table of arrays; None if it does not exist."""
        if name not in self.card["arrays"]:
            return None
        return kind(**{field: self.array(f"{name}-{field}") for field in self.card["arrays"][name]})

    def texts(self, side: str) -> Texts:
        with pa.memory_map(str(self.path / f"{side}.arrow")) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        texts = Texts(batch.column("id"), batch.column("text"))
        # These take a pass over all texts to compute, and the files have them.
        vars(texts).update(fingerprint=self.card["fingerprints"][side], groups=self.array(f"{side}-groups"))
        return texts


def read(folder: Path) -> RetrievalData:
    """Open what `write` has written; texts and arrays stay on disk until they are looked at."""
    card = json.loads((folder / "card.json").read_text())
    files = _Folder(folder, card)
    own = files.array("own") if "own" in card["arrays"] else None
    mixed = tuple(
        Part(**{**part, "queries": range(*part["queries"]), "docs": range(*part["docs"])}) for part in card["mixed"]
    )
    return RetrievalData(
        card["name"],
        files.texts("corpus"),
        files.texts("queries"),
        {split: files.table(f"split-{number}", Qrels) for number, split in enumerate(card["splits"])},
        truth=files.table("truth", Qrels),
        given=files.table("given", Ragged),
        skipped=card["skipped"],
        mixed=mixed,
        temper=card["temper"],
        own=own,
        scored=files.table("scored", PairScores),
        query_prompt=card["query_prompt"],
        blended=card["blended"],
    )
