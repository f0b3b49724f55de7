"""Data from Python: frames, data sets and dictionaries, for training and evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.api.frames import Frame, frame_of
from hardneg.api.layouts import DataLayout, JudgedSet, Tables
from hardneg.api.words import words_of
from hardneg.data.readers.split_names import SPLITS, split_name
from hardneg.errors import ConfigError, DataError
from hardneg.system.cache_folder import cache_folder

if TYPE_CHECKING:
    from hardneg.data.readers.beir import Beir
    from hardneg.data.readers.table import Table
    from hardneg.data.tables import RetrievalData

CORPUS = "corpus"


@dataclass(frozen=True, eq=False)
class Data:
    """Data from Python, and how to read them: `options` are the keys of `data=table` or `data=beir`.

    Made by `Data.from_pandas`, `from_polars`, `from_dataset`, `from_arrow`, `from_records` and `from_dict`; nothing is
    read or written before it is needed. `hardneg.train` writes them once into the cache, under a name made of their
    content, and the run's config names that place: `hardneg resume`, `mine` and `evaluate` find them there.

    A table has its columns by name (`columns={"query": "question", "positive": "answer"}`; also negative, score,
    prompt) or recognised, as `data=table` does: query or question, positive or answer, negative, score ..., or two
    columns of text of which the first is the query. Splits may be given each (`train`, `dev`, `test`); of those that
    are missing `dev_share` and `test_share` of the training queries are held out. `corpus` are further documents.
    """

    name: str
    layout: DataLayout
    options: Mapping[str, Any] = field(default_factory=dict)
    only: str | None = None  # the split of a single table, where that is not train

    @classmethod
    def from_pandas(cls, train: Any = None, *, name: str = "frame", **tables: Any) -> Data:
        """Take pandas data frames: `train` alone or with `dev`, `test`, `corpus`; the index is ignored.

        The other arguments are `columns`, `positive_from`, `dev_share`, `test_share`, `split_seed` and `on_error`, the
        keys of `data=table`. Raises `ConfigError` for others, and `DataError` for a column of mixed types.
        """
        return cls._of_tables(name, train, tables)

    @classmethod
    def from_polars(cls, train: Any = None, *, name: str = "frame", **tables: Any) -> Data:
        """Take polars data frames, also lazy ones; arguments are as in `from_pandas`."""
        return cls._of_tables(name, train, tables)

    @classmethod
    def from_dataset(cls, train: Any = None, *, name: str | None = None, **tables: Any) -> Data:
        """Take a `datasets.Dataset`, or a `DatasetDict` whose splits are train, dev (validation), test, corpus.

        A data set is read in batches and never held in memory as a whole. Arguments are as in `from_pandas`.
        """
        if name is None:
            one = next(iter(train.values()), None) if isinstance(train, Mapping) else train
            name = str(getattr(getattr(one, "info", None), "dataset_name", None) or "dataset")
        return cls._of_tables(name, train, tables)

    @classmethod
    def from_arrow(cls, train: Any = None, *, name: str = "table", **tables: Any) -> Data:
        """Take Arrow tables, or anything with Arrow's PyCapsule interface (DuckDB, cuDF ...); see `from_pandas`."""
        return cls._of_tables(name, train, tables)

    @classmethod
    def from_records(cls, train: Any = None, *, name: str = "records", **tables: Any) -> Data:
        """Take rows as dictionaries, such as {"query": ..., "positive": ...}; arguments are as in `from_pandas`."""
        return cls._of_tables(name, train, tables)

    @classmethod
    def from_dict(
        cls,
        corpus: Mapping[Any, Any],
        queries: Mapping[Any, str],
        qrels: Mapping[Any, Any],
        *,
        name: str = "set",
        **options: Any,
    ) -> Data:
        """Take dictionaries as BEIR's loader gives them.

        `corpus` maps ids to a text or to {title, text}, `queries` ids to a text, `qrels` query -> document -> grade,
        which is the split `train`, or split -> query -> document -> grade. `options` are `own_documents`,
        `relevant_from`, `on_error` and, for splits that are missing, `dev_share`, `test_share` and `split_seed`.
        """
        first = next(iter(qrels.values()), None)
        inner = next(iter(first.values()), None) if isinstance(first, Mapping) else None
        by_split: Mapping[str, Any] = qrels if isinstance(inner, Mapping) else {"train": qrels}
        shares = {"dev_share": 0.1, "test_share": 0.1} if "train" in by_split else {}
        return cls(name, JudgedSet(corpus, queries, by_split), _checked("beir", {**shares, **options}))

    @classmethod
    def of(cls, data: Any, columns: Mapping[str, Any] | None = None) -> Data:
        """Take any of these, recognised by its type: a frame, a data set, a mapping of splits, rows.

        `columns` are used if the table has them, and ignored otherwise.
        """
        if isinstance(data, Data):
            return data
        if columns:
            with suppress(DataError):
                return cls._of_any(data, {"columns": dict(columns)})
        return cls._of_any(data, {})

    @classmethod
    def _of_any(cls, data: Any, options: Mapping[str, Any]) -> Data:
        library = type(data).__module__.split(".")[0]
        if library == "datasets":
            return cls.from_dataset(data, **options)
        name = {"pandas": "frame", "polars": "frame", "pyarrow": "table"}.get(library, "records")
        return cls._of_tables(name, data, options)

    @classmethod
    def _of_tables(cls, name: str, train: Any, given: Mapping[str, Any]) -> Data:
        tables = {split: given[split] for split in (*SPLITS[1:], CORPUS) if given.get(split) is not None}
        whole = train if isinstance(train, Mapping) else {} if train is None else {"train": train}
        for key, table in whole.items():
            split = split_name(str(key))
            if split not in (*SPLITS, CORPUS) or split in tables:
                raise ConfigError(f"{key!r} is not a split; the splits are train, dev (validation), test and corpus")
            tables[split] = table
        options = _checked("table", {key: value for key, value in given.items() if key not in (*SPLITS, CORPUS)})
        only = None
        if "train" not in tables:
            if len(lone := [split for split in tables if split != CORPUS]) != 1:
                raise ConfigError("there is no table to train on; without one give dev or test alone, to evaluate")
            (only,) = lone
            tables["train"] = tables.pop(only)
            options = {**options, "dev_share": 0.0, "test_share": 0.0}
        frames = {split: frame_of(table, f"{name}, {only or split}") for split, table in tables.items()}
        _check_first_rows(frames, options, name)
        return cls(name, Tables(frames), options, only)

    def words(self, cache: str | Path | None = None) -> list[str]:
        """Return the words of a command line that name these data, after they were written into the cache."""
        options = {"path": str(self.kept(cache)), "name": self.name, **self.options}
        return [f"data={self.layout.kind}", *words_of({"data": options})]

    def kept(self, cache: str | Path | None = None) -> Path:
        """Write the data into the cache, unless they are there, and return their folder."""
        return self.layout.kept(Path(cache or cache_folder()).expanduser().absolute())

    def load(self, cache: str | Path | None = None) -> RetrievalData:
        """Read the data as a run does: documents, queries and judgements by split."""
        found = self.recipe(cache).load()
        return found if self.only is None else replace(found, qrels={self.only: found.qrels["train"]})

    def recipe(self, cache: str | Path | None = None) -> Table | Beir:
        """Return the reader of the data, which are then in the cache."""
        from hardneg.data.readers.beir import Beir
        from hardneg.data.readers.table import Table

        reader = Table if self.layout.kind == "table" else Beir
        return reader(path=str(self.kept(cache)), name=self.name, **self.options)

    def __repr__(self) -> str:
        return f"Data({self.name!r}, {self.layout.kind})"


def words_for(data: Any, cache: str | Path | None) -> list[str]:
    """The command-line arguments for the data given to `hardneg.train`: data, a path, or the name of a built-in set.

    Raises `ConfigError` for data that have only a test split.
    """
    from hardneg.data.readers.guess import with_kind

    if isinstance(data, str | os.PathLike):
        path = Path(data).expanduser()
        if isinstance(data, os.PathLike) or path.exists() or len(path.parts) > 1 or path.suffix:
            return with_kind(words_of({"data": {"path": str(path)}}))[0]
        return words_of({"data": str(data)})
    given = Data.of(data)
    if given.only is not None:
        raise ConfigError(f"{given}: there is {given.only} alone, and nothing to train on")
    return given.words(cache)


def _checked(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse keys that the reader does not have; an option that is None keeps the reader's default."""
    from hardneg.data.readers.beir import Beir
    from hardneg.data.readers.columns import check_columns
    from hardneg.data.readers.table import Table

    known = [one.name for one in fields(Table if kind == "table" else Beir) if one.name not in ("path", "name")]
    for key in options:
        if key not in known:
            tables = "train, dev, test, corpus, " if kind == "table" else ""
            raise ConfigError(f"{key} is unknown; there are {tables}{', '.join(known)}")
    kept = {key: value for key, value in options.items() if value is not None}
    check_columns(kept.get("columns", {}))
    return kept


def _check_first_rows(frames: Mapping[str, Frame], options: Mapping[str, Any], name: str) -> None:
    """Refuse an empty table, and missing or unknown columns: now, not when training begins."""
    from hardneg.data.readers.examples import Examples
    from hardneg.data.readers.lines import BadRow

    for split, frame in frames.items():
        examples = Examples(options.get("columns"), options.get("positive_from"))
        try:
            found = next(iter(frame), None) if split == CORPUS else examples.first_row(frame)
        except BadRow as bad:
            said = str(bad).replace("data.columns", "columns")
            raise DataError(f"{name}, {split}: {said}, or columns={{'query': ..., 'positive': ...}}") from bad
        if found is None:
            raise DataError(f"{name}, {split}: the table has no rows")
