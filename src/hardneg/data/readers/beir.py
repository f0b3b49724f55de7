"""Sets in BEIR layout: a folder with corpus, queries and judgements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.held_out import hold_out
from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import folder_at, one_of, plain_stem, refuse_tables, there_is
from hardneg.data.readers.judged_sets import ReadsJudgements, documents_alone, documents_of, judged_set
from hardneg.data.readers.judgements import tsv_judgements
from hardneg.data.readers.lines import Complaints, json_lines
from hardneg.data.readers.packed import unpacked_name
from hardneg.data.readers.split_names import split_name
from hardneg.data.tables import RetrievalData
from hardneg.errors import DataError

EXPECTED = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/*.tsv (each may be packed: .gz, .bz2, .xz, .zst)"


@dataclass(frozen=True)
class Beir(ReadsJudgements):
    """A folder in BEIR layout.

    Raises `ConfigError` for an empty `path`, an unknown `on_error` or `own_documents`, or a `relevant_from` that is not
    a grade. Layout: `corpus.jsonl` {_id, title, text}, `queries.jsonl` {_id, text}, `qrels/<split>.tsv` (header
    `query-id corpus-id score`, may be absent; TREC's four columns are read too), each also packed; any splits. Where
    there is no dev or no test, `dev_share` or `test_share` of the training queries are held out (see `held_out`). A
    document's text is "title text", joined by one space, where the title is not empty. Ids stay as written; where all
    `_id` of a file are whole numbers they are read as strings. `own_documents`: what is done with a document that is a
    query itself (see `hardneg.data.own_documents`), `leave_out` of what is ranked and mined for that query, or `keep`.
    `relevant_from` is the lowest grade that is relevant (null: any above 0), one for all splits or one by split: in
    training, and for all metrics but nDCG, which counts all.
    """

    path: str
    on_error: str = "raise"
    own_documents: str = "leave_out"
    relevant_from: Any = None
    dev_share: int | float = 0.0
    test_share: int | float = 0.0
    split_seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        refuse_tables(self.path, "beir")
        self._check_judged()

    def load(self) -> RetrievalData:
        """Read the set; raises `DataError` for a missing file, and for a bad row unless `on_error` is `skip`."""
        folder, complaints = folder_at(self.path, EXPECTED), Complaints(self.on_error)
        corpus = _corpus(folder, complaints)
        queries = one_of(folder, "queries.jsonl", EXPECTED)
        qrels = {
            split: RowSource(str(path), tsv_judgements(path, complaints))
            for split, path in _qrels_files(folder).items()
        }
        data = judged_set(
            self.name or folder.resolve().name,
            corpus,
            RowSource(str(queries), json_lines(queries, complaints)),
            qrels,
            complaints,
            keep_own=self.own_documents == "keep",
            relevant_from=self.relevant_from,
        )
        return hold_out(data, self._shares())

    def load_documents(self) -> RetrievalData:
        """Read `corpus.jsonl` alone; raises as `load` does."""
        folder, complaints = folder_at(self.path, EXPECTED), Complaints(self.on_error)
        corpus = documents_of(_corpus(folder, complaints), complaints)
        return documents_alone(self.name or folder.resolve().name, corpus, complaints)


def _corpus(folder: Path, complaints: Complaints) -> RowSource:
    path = one_of(folder, "corpus.jsonl", EXPECTED)
    return RowSource(str(path), json_lines(path, complaints))


def _qrels_files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(path for path in folder.glob("qrels/*") if unpacked_name(path.name).endswith(".tsv")):
        split = split_name(plain_stem(path))
        if split in files:
            raise DataError(f"{path}: split {split!r} is in {files[split].name} too; keep one of the two")
        files[split] = path
    if not files:
        where = folder / "qrels" if (folder / "qrels").is_dir() else folder
        raise DataError(f"{folder}: no qrels/*.tsv; {EXPECTED}; {there_is(where)}")
    return files
