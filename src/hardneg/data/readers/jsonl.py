"""Pairs and triples in JSONL, one file or a folder of splits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hardneg.data.held_out import HoldsOut
from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import located, maybe, one_of, plain_stem, refuse_tables, there_is
from hardneg.data.readers.lines import Complaints, json_lines
from hardneg.data.readers.packed import unpacked_name
from hardneg.data.readers.pairs import paired, paired_documents
from hardneg.data.readers.split_names import ALSO_DEV
from hardneg.data.tables import RetrievalData
from hardneg.errors import DataError

log = logging.getLogger(__name__)

EXPECTED = "expected one .jsonl file, or a folder with train.jsonl and maybe dev.jsonl, test.jsonl, corpus.jsonl"
EXPECTED += "; CSV, TSV, JSON, Parquet and Arrow are read by data=table"


@dataclass(frozen=True)
class Jsonl(HoldsOut):
    """Pairs or triples in one JSONL file, or in a folder with `train.jsonl` and maybe `dev`, `test` and `corpus`.

    Raises `ConfigError` for an empty `path` or one of another format, an unknown `on_error` or shares outside 0 to 1.
    Layout of a line, where a text may also be a list of texts: {"query", "positive", "negative"?},
    {"anchor", "positive", "negative"? or "negative_1" ...} or {"query", "pos": [...], "neg": [...]}, the last with
    FlagEmbedding's "pos_scores", "neg_scores" and "prompt"; Tevatron's and DPR's lines, and labelled pairs (see
    `hardneg.data.readers.columns`);
    of a line of `corpus.jsonl`: {"text", "title"?}, documents that no pair needs to name; an `_id` in it is not used.
    Any file may be packed, as .gz, .bz2, .xz or .zst.
    Equal texts are one document (d0, d1, ... in order of appearance) or one query (q0, q1, ...).
    Without a dev or a test file `dev_share` or `test_share` of the queries are held out of train (see `held_out`).
    """

    path: str
    on_error: str = "raise"
    dev_share: int | float = 0.1
    test_share: int | float = 0.1
    split_seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        refuse_tables(self.path, "jsonl")
        Complaints(self.on_error)
        self._shares()

    def load(self) -> RetrievalData:
        """Read the set; raises `DataError` for a missing file, and for a bad row unless `on_error` is `skip`."""
        complaints = Complaints(self.on_error)
        name, splits, documents = self._sources(complaints)
        return paired(self.name or name, splits, documents, self._shares(), complaints)

    def load_documents(self) -> RetrievalData:
        """Read the documents alone; raises as `load` does, but for lines that name by id what is gone."""
        complaints = Complaints(self.on_error)
        name, splits, documents = self._sources(complaints)
        return paired_documents(self.name or name, splits, documents, complaints)

    def _sources(self, complaints: Complaints) -> tuple[str, dict[str, RowSource], Callable[[], RowSource] | None]:
        """What the path holds: its name, the rows of each split, and the corpus beside them."""
        path = located(self.path)
        if path.is_dir():
            name, files, corpus = path.resolve().name, _files(path), maybe(path, "corpus.jsonl")
        elif path.is_file():
            name, files, corpus = plain_stem(path), {"train": path}, None
        else:
            raise DataError(f"{path}: no such file; {EXPECTED}; {there_is(path)}")
        splits = {split: RowSource(str(file), json_lines(file, complaints)) for split, file in files.items()}
        documents = (lambda: RowSource(str(corpus), json_lines(corpus, complaints))) if corpus else None
        return name, splits, documents


def _files(folder: Path) -> dict[str, Path]:
    files = {"train": one_of(folder, "train.jsonl", EXPECTED)}
    devs = [file for name in ("dev", *ALSO_DEV) if (file := maybe(folder, f"{name}.jsonl"))]
    if len(devs) > 1:
        raise DataError(f"{folder}: {' and '.join(file.name for file in devs)} are both dev splits; keep one of them")
    if devs:
        files["dev"] = devs[0]
    if test := maybe(folder, "test.jsonl"):
        files["test"] = test
    read = {*files.values(), maybe(folder, "corpus.jsonl")}
    rest = sorted(set(folder.iterdir()) - read)
    if others := [path.name for path in rest if unpacked_name(path.name).endswith(".jsonl")]:
        names = ", ".join(others)
        log.warning("%s: not read, as they belong to no split: %s (train, dev, test and corpus do)", folder, names)
    return files
