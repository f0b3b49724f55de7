"""Sets of the package `ir_datasets`, by their ids: documents, queries, judgements and training triples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from hardneg.data.held_out import hold_out
from hardneg.data.readers import hub_access
from hardneg.data.readers.fields import RowSource, each_once
from hardneg.data.readers.id_triples import Pairs
from hardneg.data.readers.judged_sets import ReadsJudgements, documents_alone, documents_of, judged_set
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.split_names import ALSO_DEV, SPLITS, split_name
from hardneg.data.tables import RetrievalData, Texts
from hardneg.errors import ConfigError, DataError, UserError
from hardneg.system.progress import progress

LOOK = 4096  # rows between two steps of the progress bar
SERVER = "https://ir-datasets.com"  # asked only whether there is a network


@dataclass(frozen=True)
class IrDatasets(ReadsJudgements):
    """A set that the package `ir_datasets` provides, which downloads it once and keeps it in `IR_DATASETS_HOME`.

    `id` is the set (`beir/scifact`): its subsets train, dev (or validation, valid, val) and test with judgements are
    the splits, or its own judgements are the split that its last word names, else `test`. `splits` (split -> id, from
    `id` on or whole) names them instead, as {dev: dev/small, test: trec-dl-2019/judged}. All must be of the same
    documents. Texts are what the package calls `default_text`. Ids, grades, `relevant_from`, `own_documents` and shares
    as for a BEIR folder. `docpairs` reads the training triples, whose negatives are given ones.

    Raises `ConfigError` for an empty `id` and what a BEIR folder refuses.
    """

    id: str
    splits: Mapping[str, str] | None = None
    docpairs: bool = False
    on_error: str = "raise"
    own_documents: str = "leave_out"
    relevant_from: Any = None
    dev_share: int | float = 0.0
    test_share: int | float = 0.0
    split_seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.id.strip():
            raise ConfigError("data.id is empty; write the id of a set, such as beir/scifact (https://ir-datasets.com)")
        self._check_judged()

    def load(self) -> RetrievalData:
        """Read the set; raises `UserError` without the package, `DataError` for what it does not have or cannot get."""
        complaints = Complaints(self.on_error)
        ids, sets = self._sets()
        parts = ("docs", "queries", "qrels", "docpairs")
        complaints.tables |= {f"{name} [{part}]" for name in (self.id, *ids.values()) for part in parts}

        def triples(corpus: Texts, queries: Texts) -> Pairs | None:
            train = sets.get("train")
            if self.docpairs and train is not None and train.has_docpairs():
                return _triples(ids["train"], train, corpus, queries, complaints)
            return None

        with _explained(self.id):
            data = judged_set(
                self.name or self.id,
                _corpus(ids, sets),
                RowSource(f"{self.id} [queries]", each_once(_queries(sets.values()))),
                {
                    split: RowSource(f"{ids[split]} [qrels]", _qrels(dataset))
                    for split, dataset in sets.items()
                    if dataset.has_qrels()
                },
                complaints,
                keep_own=self.own_documents == "keep",
                relevant_from=self.relevant_from,
                triples=triples,
            )
        return hold_out(data, self._shares())

    def load_documents(self) -> RetrievalData:
        """Read the documents alone; raises as `load` does, but for missing judgements."""
        complaints = Complaints(self.on_error)
        corpus = _corpus(*self._sets(documents_alone=True))
        with _explained(self.id):
            return documents_alone(self.name or self.id, documents_of(corpus, complaints), complaints)

    def _sets(self, documents_alone: bool = False) -> tuple[dict[str, str], dict[str, Any]]:
        """The id and the set of each split, all of the same documents."""
        package = _package()
        ids = self._ids(package, documents_alone)
        of_documents = {package.docs_parent_id(name) for name in ids.values()}
        if len(of_documents) > 1:
            raise DataError(f"data.splits are of different documents: {', '.join(sorted(of_documents))}; choose one")
        return ids, {split: package.load(name) for split, name in ids.items()}

    def _ids(self, package: ModuleType, documents_alone: bool) -> dict[str, str]:
        """The id of each split; raises `DataError` with a list of those that exist.

        Where documents alone are wanted, a set without judgements will do.
        """
        if self.splits:
            return {str(split): _known(package, f"{self.id}/{name}", name) for split, name in self.splits.items()}
        whole = package.load(_known(package, self.id))
        found: dict[str, str] = {}
        for word in ("train", "dev", *ALSO_DEV, "test"):
            name = f"{self.id}/{word}"
            if split_name(word) not in found and name in package.registry and _judged(package.load(name)):
                found[split_name(word)] = name
        if found:
            return found
        if not _judged(whole) and not (documents_alone and whole.has_docs()):
            raise DataError(
                f"{self.id}: no judgements of its own; choose with data.splits=; {_there(package, self.id)}"
            )
        own = next((split_name(word) for word in reversed(self.id.split("/")) if split_name(word) in SPLITS), "test")
        return {own: self.id}


def _package() -> ModuleType:
    os.environ.setdefault("IR_DATASETS_DL_DISABLE_PBAR", "true")
    try:
        import ir_datasets
    except ImportError as error:
        raise UserError("data=ir_datasets needs ir_datasets: pip install 'hardneg[ir_datasets]'") from error
    return ir_datasets


def _judged(dataset: Any) -> bool:
    return dataset.has_docs() and dataset.has_queries() and (dataset.has_qrels() or dataset.has_docpairs())


def _known(package: ModuleType, *names: str) -> str:
    for name in names:
        try:
            package.load(name)
        except KeyError:
            continue
        return name
    raise DataError(f"ir_datasets has no {names[-1]!r}; {_there(package, names[0])}")


def _there(package: ModuleType, name: str) -> str:
    """List the ids that begin like this one."""
    words = name.split("/")
    while words:
        near = sorted(key for key in package.registry if key.startswith("/".join(words)))
        if near:
            return f"there are: {', '.join(near[:20])}{' ...' * (len(near) > 20)}"
        words.pop()
    return "see https://ir-datasets.com for the ids"


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Without a network fail within seconds: existing files are read, and a download is tried once."""
    given = {key: os.environ.get(key) for key in ("IR_DATASETS_DL_TRIES", "IR_DATASETS_DL_TIMEOUT")}
    answers = hub_access.answers(SERVER)
    if not answers:
        os.environ |= {"IR_DATASETS_DL_TRIES": "1", "IR_DATASETS_DL_TIMEOUT": "3"}
    try:
        yield
    except (UserError, DataError):
        raise
    except Exception as error:  # whatever a source of the package raises: HTTP clients, archives, missing files
        mend = "get it on a machine with a network and set IR_DATASETS_HOME to where it lies" if not answers else ""
        mend = mend or f"see https://ir-datasets.com/{name.split('/')[0]} for what must be fetched by hand"
        raise DataError(f"{name}: ir_datasets could not read it ({error}); {mend}") from error
    finally:
        for key, value in given.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _counted(rows: Iterable[Any], total: int | None, what: str) -> Iterator[tuple[int, Any]]:
    with progress(total, what, "rows") as bar:
        number = 0
        for number, row in enumerate(rows):
            if number and number % LOOK == 0:
                bar.update(LOOK)
            yield number, row


def _corpus(ids: Mapping[str, str], sets: Mapping[str, Any]) -> RowSource:
    """The documents, which all splits share."""
    first = next(iter(ids))
    return RowSource(f"{ids[first]} [docs]", _documents(sets[first]))


def _documents(dataset: Any) -> Iterator[tuple[int, dict[str, str]]]:
    for number, document in _counted(dataset.docs_iter(), dataset.docs_count(), "read documents"):
        yield number, {"_id": document.doc_id, "text": document.default_text().strip()}


def _queries(sets: Iterable[Any]) -> Iterator[tuple[int, dict[str, str]]]:
    for dataset in sets:
        for number, query in _counted(dataset.queries_iter(), None, "read queries"):
            yield number, {"_id": query.query_id, "text": query.default_text().strip()}


def _qrels(dataset: Any) -> Iterator[tuple[int, tuple[str, str, Any]]]:
    for number, judged in _counted(dataset.qrels_iter(), None, "read judgements"):
        yield number, (judged.query_id, judged.doc_id, judged.relevance)


def _triples(name: str, dataset: Any, corpus: Texts, queries: Texts, complaints: Complaints) -> Pairs:
    positives, negatives = set[int](), set[int]()
    for number, pair in _counted(dataset.docpairs_iter(), None, "read triples"):
        rows = queries.rows.get(pair.query_id), corpus.rows.get(pair.doc_id_a), corpus.rows.get(pair.doc_id_b)
        if None in rows:
            what = f"triple {tuple(pair[:3])} names a query or a document that is not in the set"
            complaints.about(
                f"{name} [docpairs]", number, BadRow("unknown id in a triple", what, "report it to ir_datasets")
            )
            continue
        query, positive, negative = (row or 0 for row in rows)
        positives.add(query << 32 | positive)
        negatives.add(query << 32 | negative)
    return np.array(sorted(positives), np.int64), np.array(sorted(negatives), np.int64)
