"""Collections in files of their own for documents, queries and judgements: MS MARCO, mMARCO, MIRACL, TREC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.held_out import hold_out
from hardneg.data.readers import collection_rows
from hardneg.data.readers.collection_files import ROLES, files_of, qrels_by_split
from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import files_below, folder_at, located, there_is
from hardneg.data.readers.id_triples import Pairs, read_triples
from hardneg.data.readers.judged_sets import ReadsJudgements, documents_alone, documents_of, judged_set
from hardneg.data.readers.judgements import tsv_judgements
from hardneg.data.readers.lines import Complaints
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError, DataError

Files = str | Sequence[str] | None
EXPECTED = {
    "documents": "TSV (id, text; or id, url, title, text), JSONL or TREC's <DOC>; a list in a .json must be named",
    "queries": "TSV (id, text), JSONL or TREC topics; a list in a .json must be named",
    "qrels": "query 0 document grade",
    "triples": "query, relevant document, other document by id",
}


@dataclass(frozen=True)
class Collection(ReadsJudgements):
    """A folder with a collection's files as they are published; their names tell which file is what.

    Documents are in files or folders called collection, corpus, docs, documents or passage (TSV without a header: id
    and text, or MS MARCO's id, url, title, body; JSONL {docid, title?, text}; TREC's SGML), queries in queries or
    topics (TSV of id and text; JSONL; TREC topics, of which `fields` are read), judgements in qrels (four columns, or
    three), by split of the word train, dev, test in their names (dev.small: `dev_small`; one alone without a word:
    `test`), and triples by id in triples.*.ids.* or qidpidtriples.*. Each may be named instead, and a list of objects
    in a .json must be, since others of that ending describe data: `documents`, `queries` and `triples` by a path or
    several, `qrels` by a path for each split, from `path` on. `language` chooses among files that have it in their
    path. All may be packed (see `packed`). Quotes in TSV are text, unless there is a header and
    they enclose whole cells. Blanks around an id are no part of it.

    Given negatives are those of the triples, and documents that `train` judges not relevant. `relevant_from`,
    `own_documents` and shares as for a BEIR folder.
    Raises `ConfigError` for an empty `path`, `qrels` without splits, no `fields`, and what a BEIR folder refuses.
    """

    path: str
    language: str | None = None
    documents: Files = None
    queries: Files = None
    qrels: Any = None
    triples: Files = None
    fields: Any = ("title",)
    on_error: str = "raise"
    own_documents: str = "leave_out"
    relevant_from: Any = None
    dev_share: int | float = 0.0
    test_share: int | float = 0.0
    split_seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        located(self.path)
        if self.qrels is not None and not isinstance(self.qrels, Mapping):
            raise ConfigError(f"data.qrels is {self.qrels!r}; name the split, as in 'data.qrels={{test: FILE}}'")
        if isinstance(self.fields, str) or not self.fields:
            raise ConfigError(f"data.fields is {self.fields!r}; write a list, such as [title] or [title,description]")
        self._check_judged()

    def load(self) -> RetrievalData:
        """Read the set; raises `DataError` for a missing file, and for a bad row unless `on_error` is `skip`."""
        folder, complaints = self._folder(), Complaints(self.on_error)
        files = self._files(folder)
        qrels = {split: _judged(path, complaints) for split, path in files["qrels"].items()}

        def triples(corpus: Texts, queries: Texts) -> Pairs | None:
            return read_triples(files["triples"], corpus, queries, complaints) if files["triples"] else None

        data = judged_set(
            self._called(folder),
            collection_rows.documents(files["documents"], complaints),
            collection_rows.queries(files["queries"], tuple(self.fields), complaints),
            qrels,
            complaints,
            keep_own=self.own_documents == "keep",
            relevant_from=self.relevant_from,
            triples=triples,
        )
        return hold_out(data, self._shares())

    def load_documents(self) -> RetrievalData:
        """Read the documents alone; raises as `load` does, but for what is wrong with other files."""
        folder, complaints = self._folder(), Complaints(self.on_error)
        named = self.documents
        files = _listed(folder, "documents", named) if named else files_of(folder, self.language)["documents"]
        _refuse_none(folder, "documents", files)
        corpus = documents_of(collection_rows.documents(files, complaints), complaints)
        return documents_alone(self._called(folder), corpus, complaints)

    def _folder(self) -> Path:
        return folder_at(self.path, "data=collection reads a folder of files")

    def _called(self, folder: Path) -> str:
        return self.name or "_".join(word for word in (folder.resolve().name, self.language) if word)

    def _files(self, folder: Path) -> dict[str, Any]:
        named = {role: getattr(self, role) for role in ROLES}
        found: dict[str, Any] = {role: [] for role in ROLES}
        if not (named["documents"] and named["queries"] and (named["qrels"] or named["triples"])):
            found = files_of(folder, self.language)
        files: dict[str, Any] = {
            role: _listed(folder, role, named[role]) if named[role] else found[role] for role in ROLES
        }
        if self.qrels:
            files["qrels"] = {str(split): _there(folder, "qrels", path) for split, path in self.qrels.items()}
        else:
            files["qrels"] = qrels_by_split(files["qrels"])
        if not files["qrels"] and not files["triples"]:
            raise DataError(f"{folder}: no judgements ({EXPECTED['qrels']}); {_how('qrels')}; {there_is(folder)}")
        for role in ("documents", "queries"):
            _refuse_none(folder, role, files[role])
        return files


def _refuse_none(folder: Path, role: str, files: Sequence[Path]) -> None:
    if not files:
        raise DataError(f"{folder}: no {role} ({EXPECTED[role]}); {_how(role)}; {there_is(folder)}")


def _judged(path: Path, complaints: Complaints) -> RowSource:
    rows = tsv_judgements(path, complaints)
    return RowSource(str(path), ((line, (query.strip(), doc.strip(), score)) for line, (query, doc, score) in rows))


def _how(role: str) -> str:
    value = "'{test: FILE}'" if role == "qrels" else "FILE"
    return f"name a file so that it says {role}, or name it here: data.{role}={value}"


def _listed(folder: Path, role: str, named: Any) -> list[Path]:
    if role == "qrels":
        return []
    files: list[Path] = []
    for path in [named] if isinstance(named, str) else named:
        there = _there(folder, role, path)
        files += sorted(files_below(there)) if there.is_dir() else [there]
    return files


def _there(folder: Path, role: str, path: Any) -> Path:
    found = folder / Path(str(path)).expanduser()
    if not found.exists():
        raise DataError(f"data.{role}: {found}: no such file or folder; {there_is(found)}")
    return found
