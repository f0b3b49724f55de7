"""Tables of other libraries as Arrow: data frames, `datasets`, Arrow itself, lists of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from hardneg.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1000  # rows that are held at a time, beside what the user holds


@dataclass(frozen=True)
class Frame:
    """A table that can be read more than once, batch by batch."""

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as plain values."""
        for batch in self.batches():
            yield from batch.to_pylist()


def frame_of(table: Any, what: str) -> Frame:
    """Return a table as Arrow, whichever library it is of; `what` names it in errors.

    Takes pandas, polars (lazy too), `datasets.Dataset` and `IterableDataset`, Arrow and everything with its PyCapsule
    interface (`__arrow_c_stream__`), and rows as mappings. Raises `DataError` for anything else, and for a column of
    mixed types.
    """
    import pyarrow as pa

    library = type(table).__module__.split(".")[0]
    if library == "datasets":
        return _of_datasets(table, what)
    try:
        if library == "pandas":
            return _of_arrow(pa.Table.from_pandas(table, preserve_index=False))
        if library == "polars" and hasattr(table, "collect"):
            table = table.collect()
        if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
            return _of_arrow(pa.table(table))
        return _of_arrow(_of_rows(table, what))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{what}: {error}; give each column one type, such as text or lists of texts") from error


def _of_arrow(table: pa.Table) -> Frame:
    return Frame(table.schema, lambda: iter(table.to_batches(max_chunksize=BATCH)))


def _of_datasets(dataset: Any, what: str) -> Frame:
    """A `Dataset` stays where it is and is read in batches; one that is streamed is read once."""
    import pyarrow as pa

    if isinstance(dataset, Mapping):
        raise DataError(f"{what}: a {type(dataset).__name__} of splits; give one split, or all of them at once")
    arrow = dataset.with_format("arrow")
    if not hasattr(dataset, "num_rows"):
        tables = list(arrow.iter(BATCH))
        if not tables:
            raise DataError(f"{what}: the data set is empty")
        return _of_arrow(pa.concat_tables(tables, promote_options="default"))
    schema = dataset.features.arrow_schema.remove_metadata()

    def batches() -> Iterator[pa.RecordBatch]:
        for part in arrow.iter(BATCH):
            yield from part.cast(schema).to_batches()

    return Frame(schema, batches)


def _of_rows(rows: Any, what: str) -> pa.Table:
    import pyarrow as pa

    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise DataError(
            f"{what} is a {type(rows).__name__}; give a pandas or polars frame, a datasets.Dataset, an Arrow table, or"
            " rows as dictionaries"
        )
    listed = list(rows)
    wrong = next((place for place, row in enumerate(listed) if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise DataError(f"{what}: row {wrong} is a {type(listed[wrong]).__name__}; write it as {{column: value}}")
    columns = list(dict.fromkeys(chain.from_iterable(listed)))
    return pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in listed])
