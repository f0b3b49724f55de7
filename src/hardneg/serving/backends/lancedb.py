"""LanceDB: a table of columns in a folder, through LanceDB's own client (extra hardneg[lancedb])."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from hardneg.errors import UserError
from hardneg.serving.backends.base import Backend, Vectors

TABLE = "documents"
BATCH = 1000  # ids in one condition


@dataclass(frozen=True)
class LanceDB(Backend):
    """A LanceDB table with the columns `id` and `vector`; it is searched exactly, from disk."""

    def check(self) -> None:
        """Raise `UserError` where the client is not installed."""
        _library()

    def create(self, folder: Path, dim: int, documents: int) -> LanceVectors:
        """Make the table, unless a killed build left it."""
        schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), dim))])
        return LanceVectors(_library().connect(str(folder)).create_table(TABLE, schema=schema, exist_ok=True))

    def open(self, folder: Path) -> LanceVectors:
        """Open the table."""
        return LanceVectors(_library().connect(str(folder)).open_table(TABLE))


class LanceVectors(Vectors):
    """An open table."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.dim = table.schema.field("vector").type.list_size

    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Merge rows by id."""
        flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
        rows = pa.table(
            {"id": pa.array(ids, pa.string()), "vector": pa.FixedSizeListArray.from_arrays(flat, self.dim)},
            schema=self.table.schema,
        )
        self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        for start in range(0, len(ids), BATCH):
            self.table.delete(f"id IN ({_quoted(ids[start : start + BATCH])})")

    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask for each query; Lance's distance is 1 less the inner product."""
        out = []
        for query in queries:
            found = self.table.search(query).distance_type("dot").select(["id", "_distance"]).limit(k).to_arrow()
            pairs = zip(found.column("id").to_pylist(), found.column("_distance").to_pylist(), strict=True)
            out.append([(name, 1.0 - distance) for name, distance in pairs])
        return out

    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Read rows."""
        out = np.full((len(ids), self.dim), np.nan, np.float32)
        places = {name: place for place, name in enumerate(ids)}
        for start in range(0, len(ids), BATCH):
            condition = f"id IN ({_quoted(ids[start : start + BATCH])})"
            found = self.table.search().where(condition).limit(BATCH).to_arrow()
            if len(found):
                here = [places[name] for name in found.column("id").to_pylist()]
                vectors = found.column("vector").combine_chunks().flatten().to_numpy()
                out[here] = vectors.reshape(-1, self.dim)
        return out

    def count(self) -> int:
        """What LanceDB counts."""
        return int(self.table.count_rows())

    def save(self) -> None:
        """Join the small files of many upserts."""
        self.table.optimize()


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in ids)


def _library() -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise UserError("index=lancedb needs its client: pip install 'hardneg[lancedb]'") from error
    return lancedb
