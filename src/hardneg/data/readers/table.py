"""Any table: a file or folder of CSV, TSV, JSON, JSONL, Parquet or Arrow, a saved `datasets` folder, a hub name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hardneg.data.held_out import TRAIN, HoldsOut
from hardneg.data.readers import hub_access
from hardneg.data.readers.collection_files import words_of
from hardneg.data.readers.columns import ROLES, Roles, check_columns, names_in
from hardneg.data.readers.examples import Examples
from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import (
    ABOUT,
    KINDS,
    is_hub_name,
    is_saved,
    located,
    plain_stem,
    tell_missing_parts,
    there_is,
    with_tables,
)
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.pairs import paired, paired_documents
from hardneg.data.readers.split_names import IN_FILE_NAMES, SPLITS, split_name
from hardneg.data.readers.table_files import kind_of, table_rows
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError, DataError

log = logging.getLogger(__name__)

EXPECTED = f"expected a file ({', '.join(kind[1:] for kind in KINDS)}), a folder of such files, or one of save_to_disk"
CORPUS = "corpus"
WORDS = IN_FILE_NAMES | {CORPUS: CORPUS, "psgs": CORPUS}  # the last is DPR's
# At the end of a name: train-00000-of-00002, also with a hash behind, and train-03; the 01 of a date tells no split.
SHARD = re.compile(r"-(0\d*|\d+-of-\d+(-\w+)?)$")
BEHIND = re.compile(r"(set|data|\d+)$")  # a word that tells a split: trainset, testdata, dev2


@dataclass(frozen=True)
class Table(HoldsOut):
    """A table of pairs, triples or lists: a file, or a folder with a file or several for each split.

    Raises `ConfigError` for an empty `path`, wrong `columns`, an unknown `on_error`, shares outside 0 to 1, and a
    `config`, `split` or `revision` for a local file: these are of a set on the Hugging Face hub, OWNER/NAME as `path`
    where there is no such file or folder, which is read as `Hub` reads it. Columns are named by `columns` (role ->
    column: query, positive, negative, score, prompt; positive and negative may be lists), or recognised
    (`hardneg.data.readers.columns`): the names of sentence-transformers, FlagEmbedding, Tevatron and DPR, other usual
    ones, or two columns of text of which the first is the query. A pair's label or score says whether it is a positive:
    1 or 0, or `positive_from` and more. Layout of a folder: train.*, and maybe dev.* (validation, valid, val), test.*
    and corpus.* {text, title?}, each also in shards like train-00000-of-00002.parquet, or all in a folder `data`, as
    repositories on the hub have them; files of other names go by the words in them (nq-train.json, dev2.csv) where one
    of the folder says train, and else are one table. Without dev or test a share of the queries is held out of train
    (see `held_out`). Equal texts are one document or one query.
    """

    path: str
    columns: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys(ROLES))
    positive_from: int | float | None = None
    on_error: str = "raise"
    dev_share: int | float = 0.1
    test_share: int | float = 0.1
    split_seed: int = 0
    name: str | None = None
    config: str | None = None
    split: str = TRAIN
    revision: str | None = None

    def __post_init__(self) -> None:
        located(self.path)
        if is_hub_name(self.path):
            self._hub()
        elif given := [key for key in ("config", "split", "revision") if getattr(self, key) not in (None, TRAIN)]:
            raise ConfigError(f"data.{given[0]} is for a set on the hub, and data.path={self.path} is a file or folder")
        check_columns(self.columns)
        if isinstance(self.positive_from, bool) or not isinstance(self.positive_from, int | float | None):
            raise ConfigError(f"data.positive_from is {self.positive_from!r}; write a number, or null")
        Complaints(self.on_error)
        self._shares()

    def load(self) -> RetrievalData:
        """Read the table; raises `DataError` for a missing file, and for a bad row unless `on_error` is `skip`."""
        if is_hub_name(self.path):
            return self._from_hub(Hub.load)
        complaints = Complaints(self.on_error)
        name, splits, documents = self._sources(complaints)
        return paired(
            self.name or name, splits, documents, self._shares(), complaints, self.columns, self.positive_from
        )

    def load_documents(self) -> RetrievalData:
        """Read the documents alone; raises as `load` does, but for rows that name by id what is gone."""
        if is_hub_name(self.path):
            return self._from_hub(Hub.load_documents)
        complaints = Complaints(self.on_error)
        name, splits, documents = self._sources(complaints)
        return paired_documents(self.name or name, splits, documents, complaints, self.columns, self.positive_from)

    def _sources(
        self, complaints: Complaints, head: bool = False
    ) -> tuple[str, dict[str, list[RowSource]], Callable[[], RowSource] | None]:
        """What the path holds: its name, the rows of each split (with `head` the first ones), and the corpus beside."""
        path, names = located(self.path), names_in(self.columns)
        documents: Callable[[], RowSource] | None = None
        if is_saved(path):
            name = path.resolve().name
            splits = {split: [source] for split, source in _saved(path, complaints).items()}
        elif path.is_dir():
            name, files = path.resolve().name, _files(with_tables(path))
            if not head:
                tell_missing_parts(file for paths in files.values() for file in paths)
            if corpus := files.pop(CORPUS, None):
                documents = partial(_texts, corpus, complaints)
            splits = {
                split: [table_rows(file, complaints, names, head) for file in paths] for split, paths in files.items()
            }
        elif path.is_file():
            if kind_of(path) is None:
                raise DataError(f"{path}: no known table; {EXPECTED}")
            name, splits = plain_stem(path), {"train": [table_rows(path, complaints, names, head)]}
        else:
            raise DataError(f"{path}: no such file or folder; {EXPECTED}; {there_is(path)}")
        return name, splits, documents

    def reads(self) -> bool:
        """Whether the first row of each split has the columns that were named; False for a file that cannot be read."""
        with suppress(DataError, BadRow):
            examples = Examples(self.columns, self.positive_from)
            for source, *_ in self._sources(Complaints("skip"), head=True)[1].values():
                if (first := next(iter(source.rows), None)) is not None:
                    examples.roles(first[1])
            return True
        return False

    def first_row(self) -> tuple[Roles, Mapping[str, Any]] | None:
        """Return the first row of the first split that is understood, and which of its columns is what."""
        examples = Examples(self.columns, self.positive_from)
        for source, *_ in self._sources(Complaints("skip"), head=True)[1].values():
            with suppress(BadRow):
                if (found := examples.first_row(row for _, row in source.rows)) is not None:
                    return found
        return None

    def _hub(self) -> Hub:
        """The set that the hub has under this name."""
        return Hub(
            str(self.path),
            config=self.config,
            split=self.split,
            on_error=self.on_error,
            dev_share=self.dev_share,
            test_share=self.test_share,
            split_seed=self.split_seed,
            columns=self.columns,
            positive_from=self.positive_from,
            name=self.name,
            revision=self.revision,
        )

    def _from_hub(self, load: Callable[[Hub], RetrievalData]) -> RetrievalData:
        try:
            return load(self._hub())
        except DataError as error:
            raise DataError(
                f"{self.path}: no such file or folder here, so taken as a name on the hub; {error}"
            ) from error


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each split and of the corpus."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and kind_of(path) and path.name not in ABOUT)
    splits: dict[str, list[Path]] = {}
    for path in found:
        splits.setdefault(split_name(SHARD.sub("", plain_stem(path))), []).append(path)
    splits = _by_words(folder, splits)
    if "train" not in splits:
        others = {split for split in splits if split in ("dev", "test")}
        rest = [path for split, paths in splits.items() if split not in (*others, CORPUS) for path in paths]
        if not rest:
            mend = "call the one that is trained on train.*"
            raise DataError(f"{folder}: no table to train on; {EXPECTED}; {mend}; {there_is(folder)}")
        splits = {"train": rest, **{split: splits[split] for split in (*sorted(others), CORPUS) if split in splits}}
    elif extra := set(splits) - {*SPLITS, CORPUS}:
        name = splits[sorted(extra)[0]][0].name
        mend = "call it train.*, dev.*, test.* or corpus.*, or move it away"
        raise DataError(f"{folder}: {name} belongs to no split; {mend}")
    for split, paths in splits.items():
        if len({kind_of(path) for path in paths}) > 1:
            raise DataError(f"{folder}: {' and '.join(path.name for path in paths)} are both {split}; keep one of them")
    return splits


def _by_words(folder: Path, files: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Group files by the word in their names that tells the split; queries of `nq-dev.json` must not be trained on.

    Where no name says train, such words mean something else (unit-test.csv, security.csv), unless all names have one.
    Beside train.*, a file that is called as a split is all of it: train-hard.csv may hold rows of train.csv again.
    """
    splits: dict[str, list[Path]] = {}
    whole = files.keys() if "train" in files else set()
    for stem, paths in files.items():
        said = {WORDS[word] for word in (BEHIND.sub("", word) for word in words_of(stem)) if word in WORDS}
        splits.setdefault(said.pop() if len(said) == 1 and not said & whole else stem, []).extend(paths)
    if "train" not in splits and (len(files) == 1 or not splits.keys() <= {"dev", "test", CORPUS}):
        if odd := [
            path.name for split in ("dev", "test", CORPUS) if split not in files for path in splits.get(split, [])
        ]:
            mend = "call files train.*, dev.*, test.* and corpus.* where they are splits"
            log.warning("%s: no file's name says train, so %s is trained on, too; %s", folder, ", ".join(odd), mend)
        return files
    for split in ("dev", "test"):
        if split in splits and split not in files:
            log.info("%s: by their names %s: %s", folder, split, ", ".join(path.name for path in splits[split]))
    return splits


def _saved(folder: Path, complaints: Complaints) -> dict[str, RowSource]:
    sources = {}
    for name, dataset in hub_access.splits(str(folder.absolute()), None).items():
        if split_name(name) in sources:
            raise DataError(f"{folder}: two splits are {split_name(name)!r}")
        sources[split_name(name)] = hub_access.source(f"{folder} [{name}]", dataset, dataset.column_names, complaints)
    if len(sources) == 1:
        return {"train": next(iter(sources.values()))}
    found = {split: sources[split] for split in SPLITS if split in sources}
    if not found:
        mend = f"call them so, as in dataset['train'] = dataset.pop({next(iter(sources))!r})"
        raise DataError(f"{folder}: none of its splits is train, dev or test; there are: {', '.join(sources)}; {mend}")
    if rest := sorted(set(sources) - set(found)):
        log.warning("%s: not read: %s (train, dev and test are)", folder, ", ".join(rest))
    return found


def _texts(paths: list[Path], complaints: Complaints) -> RowSource:
    """Open the files of a corpus; the text of a row is called `text`, as document_text wants it."""

    def rows(path: Path) -> Iterator[tuple[int, Any]]:
        for line, row in table_rows(path, complaints).rows:
            other = next((key for key in ("document_text", "document", "passage", "contents") if key in row), None)
            yield line, row if "text" in row or other is None else {**row, "text": row[other]}

    return RowSource.of_files(paths, rows)
