"""Corpus, queries and judgements of a Hugging Face set: BEIR's two repositories, MTEB's configs, NanoBEIR's splits."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.data.readers import hub_access
from hardneg.data.readers.fields import RowSource, each_once
from hardneg.data.readers.folders import with_name
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.split_names import SPLITS, split_name
from hardneg.errors import DataError
from hardneg.system.counts_in_words import listed

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

JUDGEMENT = ("query-id", "corpus-id", "score")
LISTED = "positive-corpus-ids"  # all relevant documents of a query in one row, in sets that carry a ranking too


@dataclass(frozen=True)
class HubLayout:
    """The configs of corpus and queries, what stands before the names of all configs, and a split that all have."""

    corpus: str
    queries: str | None  # null: there are none, and documents alone can be read
    prefix: str
    split: str | None


class JudgedHub:
    """One set, found by its layout; raises `DataError` for what is missing, naming what there is.

    `subset` is a part of the set: a prefix of its configs (MTEB: `de` of `de-corpus`, `de-queries`, `de-qrels`), or a
    split that they share (NanoBEIR: `NanoNQ`). `qrels_repo` holds the judgements, null: the set itself where it has
    such a config, else `<repo>-qrels`.
    """

    def __init__(
        self, repo: str, revision: str | None, subset: str | None, qrels_repo: str | None, complaints: Complaints
    ) -> None:
        self.repo, self.revision, self.subset, self.qrels_repo = repo, revision, subset, qrels_repo
        self.complaints = complaints
        self.numbered: set[str] = set()  # configs whose ids are numbers in the files

    def layout(self) -> HubLayout | None:
        """Look for the configs; None for a set without a corpus, which is one of pairs."""
        prefix, split = "", self.subset
        if self.subset is not None and self._has(f"{self.subset}-corpus"):
            prefix, split = f"{self.subset}-", None
        elif self.qrels_repo is None and not self._has("corpus"):
            if self.subset is None and not any(name.endswith("-corpus") for name in self._configs()):
                return None
            raise DataError(f"{self.repo}: {self._choices('no part of that name')}")
        queries = next((name for name in (f"{prefix}queries", f"{prefix}query") if self._has(name)), None)
        return HubLayout(f"{prefix}corpus", queries, prefix, split)

    def corpus(self, layout: HubLayout) -> RowSource:
        """Open the documents."""
        found = self._splits(layout.corpus)
        if layout.split in found:
            return self._texts(layout.corpus, [found[layout.split or ""]])
        self._refuse_split(layout, found)
        if "corpus" not in found and len(found) > 1:
            what = f"one corpus for each of {', '.join(found)}"
            first = next(iter(found))
            raise DataError(f"{self.repo} [{layout.corpus}]: {what}; choose with data.subset=, such as {first}")
        return self._texts(layout.corpus, [found["corpus"] if "corpus" in found else next(iter(found.values()))])

    def queries(self, layout: HubLayout) -> RowSource:
        """Open the queries, of all splits where they are not kept in one."""
        if layout.queries is None:
            wanted = f"{layout.prefix}queries"
            if hub_access.out_of_reach(self.repo):
                self._splits(wanted)  # it may have them on the hub, and this says that the hub does not answer
            raise DataError(
                f"{self.repo}: config {layout.corpus} but no config {wanted}; there are:"
                f" {listed(self._configs() or [layout.corpus])}; an index needs documents alone, all else queries too"
            )
        found = self._splits(layout.queries)
        if layout.split in found:
            return self._texts(layout.queries, [found[layout.split or ""]])
        if "queries" in found:
            return self._texts(layout.queries, [found["queries"]])
        return self._texts(layout.queries, list(found.values()))

    def qrels(self, layout: HubLayout) -> dict[str, RowSource]:
        """Open the judgements by split, after the texts; those of a shared split, as in NanoBEIR, are `test`."""
        repo, config = self._judgements(layout.prefix)
        found = by_split(repo, self._judged_splits(repo, config))
        if layout.split in found:
            name = layout.split if layout.split in SPLITS else "test"
            found = {name: found[layout.split or ""]}
        elif layout.split is not None and split_name(layout.split) in found:
            found = {split_name(layout.split): found[split_name(layout.split)]}
        if set(found) == {"train"} and _published_as(self.repo).startswith("Nano"):
            log.info("%s: a set of NanoBEIR: its only split, called train, is read as test", self.repo)
            found = {"test": found["train"]}
        return {split: self._judged(f"{repo} [{split}]", dataset, layout) for split, dataset in found.items()}

    def _judgements(self, prefix: str) -> tuple[str, str | None]:
        if self.qrels_repo is not None:
            return self.qrels_repo, None
        for config in [f"{prefix}qrels"] if prefix else ["qrels", "default", "relevance"]:
            if self._has(config):
                return self.repo, config
        if prefix:
            raise DataError(f"{self.repo}: config {prefix}corpus but none of the judgements, {prefix}qrels")
        beside = judgements_beside(self.repo)
        if hub_access.is_local(self.repo) and not Path(beside).is_dir():
            what = f"no judgements: no config qrels, default or relevance, and no folder {beside}"
            raise DataError(f"{self.repo}: {what}; say where they are by data.qrels_repo=")
        return beside, None

    def _has(self, config: str) -> bool:
        return hub_access.has_config(self.repo, config, self.revision)

    def _configs(self) -> list[str]:
        return hub_access.config_names(self.repo, self.revision)

    def _choices(self, what: str) -> str:
        configs = self._configs()
        parts = [name.removesuffix("-corpus") for name in configs if name.endswith("-corpus")]
        if self.subset is None:
            return f"several sets in one; choose with data.subset=, of {listed(parts)}"
        there = f"data.subset may be one of {listed(parts)}" if parts else f"configs there are: {listed(configs)}"
        return f"data.subset={self.subset}: {what}; {there}"

    def _refuse_split(self, layout: HubLayout, found: Mapping[str, Any]) -> None:
        """Raise `DataError` for a subset that is not a split of the judgements either."""
        if layout.split is None:
            return
        repo, config = self._judgements(layout.prefix)
        judged = {name for split in self._judged_splits(repo, config) for name in (split, split_name(split))}
        if layout.split not in judged:
            splits = dict.fromkeys([*found, *judged])
            raise DataError(
                f"{self.repo}: {self._choices('neither configs of that name nor a split')}; splits: {', '.join(splits)}"
            )

    def _splits(self, config: str) -> Mapping[str, Dataset]:
        return hub_access.splits(self.repo, config, revision=self.revision)

    def _judged_splits(self, repo: str, config: str | None) -> Mapping[str, Dataset]:
        from datasets import Features, Value

        revision = self.revision if repo == self.repo else None
        # Left to guess, `datasets` reads ids in a TSV as numbers (007 as 7); scores are checked row by row.
        for columns in (JUDGEMENT, JUDGEMENT[:2]):  # the score may be missing
            features: Any = Features({key: Value("string") for key in columns})
            with suppress(DataError):
                found = hub_access.splits(repo, config, features, revision)
                if not all(_all_null(dataset, "score") for dataset in found.values()):  # as where the files have none
                    return found
        return hub_access.splits(repo, config, revision=revision)  # other columns: then each row's ids are checked

    def _texts(self, config: str, parts: list[Dataset]) -> RowSource:
        name, columns = f"{self.repo} [{config}]", parts[0].column_names
        id_column = next((key for key in ("_id", "id", "query-id", "corpus-id") if key in columns), "_id")
        text_column = next((key for key in ("text", "query") if key in columns), "text")
        if "int" in str(parts[0].features[id_column] if id_column in columns else ""):
            self.numbered.add(config)
        wanted = [id_column, text_column, *(["title"] if "title" in columns else [])]
        sources = [hub_access.source(name, part, wanted, self.complaints) for part in parts]
        rows = _named(sources, id_column, text_column)
        return RowSource(name, rows if len(parts) == 1 else each_once(rows))

    def _judged(self, name: str, dataset: Dataset, layout: HubLayout) -> RowSource:
        columns = dataset.column_names
        document = LISTED if LISTED in columns and "corpus-id" not in columns else "corpus-id"
        scored = ["score"] if "score" in columns else []
        rows = hub_access.source(name, dataset, ["query-id", document, *scored], self.complaints)
        # Ids that are numbers in the files of texts are read as strings there, and so here.
        sides = {"query-id": layout.queries, document: layout.corpus}
        numbers = {key: str(config) for key, config in sides.items() if config in self.numbered}
        return RowSource(name, _triples(rows, document, numbers, self.complaints))


def _published_as(repo: str) -> str:
    """The name of a set, also of a copy in the hub's own cache: datasets--OWNER--NAME/snapshots/COMMIT."""
    if not hub_access.is_local(repo):
        return repo.rsplit("/", 1)[-1]
    folder = Path(repo).expanduser().resolve()
    return folder.parent.parent.name.rsplit("--", 1)[-1] if folder.parent.name == "snapshots" else folder.name


def judgements_beside(repo: str) -> str:
    """Name the repository, or folder, that holds the judgements of a set without any config of them."""
    return f"{with_name(Path(repo).expanduser()) if hub_access.is_local(repo) else repo}-qrels"


def _all_null(dataset: Dataset, column: str) -> bool:
    return column in dataset.column_names and dataset.data.column(column).null_count == len(dataset.data)


def by_split(repo: str, rows: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Name the splits as we do; raises `DataError` where two have one name."""
    splits: dict[str, Dataset] = {}
    for name, dataset in rows.items():
        if split_name(name) in splits:
            raise DataError(f"{repo}: two splits are {split_name(name)!r}: {', '.join(rows)}")
        splits[split_name(name)] = dataset
    return splits


def _named(sources: list[RowSource], id_column: str, text_column: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of all splits by our names."""
    for source in sources:
        for number, row in source.rows:
            out = {"_id": row[id_column], "text": row[text_column]}
            yield number, out | {"title": row["title"]} if "title" in row else out


def _triples(
    rows: RowSource, document: str, numbers: Mapping[str, str], complaints: Complaints
) -> Iterator[tuple[int, tuple[Any, Any, Any]]]:
    """Yield query, document and score; `numbers` names the config of texts, by column, whose ids are numbers."""
    for number, row in rows.rows:
        query, named, score = row["query-id"], row[document], row.get("score", 1)
        for one in named if isinstance(named, list) else [named]:
            ids = {"query-id": query, document: one}
            try:
                ids |= {column: _as_text(ids[column], column, config) for column, config in numbers.items()}
            except BadRow as bad:
                complaints.about(rows.name, number, bad)
                continue
            yield number, (ids["query-id"], ids[document], score)


def _as_text(id_: Any, column: str, config: str) -> Any:
    """Return an id that is a number as text; raises `BadRow` for 007, where the texts' own was read as 7."""
    if isinstance(id_, str) and id_.isdecimal() and id_ != str(int(id_)):
        what = f"{column} is {id_!r}, and the ids of {config} are read as numbers, without zeros in front"
        raise BadRow(
            "id with zeros", what, f"write {config} as JSONL or Parquet with ids of text, as {json.dumps(id_)}"
        )
    return str(id_) if type(id_) is int else id_
