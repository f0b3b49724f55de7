"""Hugging Face data sets, in BEIR style or as pairs and triples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.data.held_out import TRAIN, hold_out
from hardneg.data.readers import hub_access
from hardneg.data.readers.columns import ROLES, check_columns, chosen
from hardneg.data.readers.examples import LOOKED_AT, Examples
from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import refuse_tables, tell_missing_parts
from hardneg.data.readers.hub_judged import HubLayout, JudgedHub, by_split
from hardneg.data.readers.judged_sets import ReadsJudgements, documents_alone, documents_of, judged_set
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.data.readers.pairs import paired, paired_documents
from hardneg.data.readers.split_names import split_name
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError, DataError

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Hub(ReadsJudgements):
    """A data set of the Hugging Face hub, or a folder with one (data files, or `save_to_disk`).

    Raises `ConfigError` for an empty `repo` or `split`, a file, an unknown `on_error`, `own_documents` or
    `relevant_from`, or shares outside 0 to 1.
    Layout, BEIR style: configs `corpus` {_id, title?, text} and `queries` {_id, text}, and judgements {query-id,
    corpus-id, score?} in a config `qrels` or `default` (MTEB, NanoBEIR), else in the default config of `qrels_repo` (by
    default `<repo>-qrels`), `validation` read as dev; a judgement without a score is relevant. `own_documents` and
    `relevant_from` as for a BEIR folder. `subset` is a part of a set that holds several (see `JudgedHub`), `revision` a
    branch, tag or commit.
    Layout, sentence-transformers style (a `config` is named, or there is no config `corpus`): columns `anchor` or
    `query`, `positive`, and maybe `negative`, `negative_1`, ... or the lists `pos` and `neg`, or other columns as for
    `data=table`, named by `columns` or recognised. `split` is the training split; validation and test splits are used
    where there are any, else `dev_share` and `test_share` of the queries are held out of train, also in BEIR style.
    """

    repo: str
    qrels_repo: str | None = None
    config: str | None = None
    split: str = "train"
    on_error: str = "raise"
    own_documents: str = "leave_out"
    relevant_from: Any = None
    dev_share: int | float = 0.1
    test_share: int | float = 0.1
    split_seed: int = 0
    columns: Mapping[str, Any] = field(default_factory=lambda: dict.fromkeys(ROLES))
    positive_from: int | float | None = None
    name: str | None = None
    subset: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        for key, value in (("data.repo", self.repo), ("data.split", self.split)):
            if not value.strip():
                raise ConfigError(f"{key} is empty; write the name of one")
        if self.config is not None and self.qrels_repo is not None:
            raise ConfigError("data.config names pairs and data.qrels_repo judgements; set one of the two")
        if self.config is not None and self.subset is not None:
            raise ConfigError("data.config names pairs and data.subset a part of a judged set; set one of the two")
        refuse_tables(self.repo, "hub")
        check_columns(self.columns)
        self._check_judged()

    def load(self) -> RetrievalData:
        """Read the set; raises `DataError` if it cannot be had, and for a bad row unless `on_error` is `skip`.

        Without a network a cached set is read, and one that is not cached fails within seconds.
        """
        return self._read(self._judged, self._paired)

    def load_documents(self) -> RetrievalData:
        """Read the documents alone; raises as `load` does."""
        return self._read(self._judged_documents, self._paired_documents)

    def _read(
        self,
        judged: Callable[[JudgedHub, HubLayout, Complaints], RetrievalData],
        pairs: Callable[[Complaints], RetrievalData],
    ) -> RetrievalData:
        """Read by `judged` what has a corpus, else by `pairs`."""
        complaints = Complaints(self.on_error)
        if hub_access.is_local(self.repo):
            tell_missing_parts(hub_access.files_shown(Path(self.repo).expanduser()))
        with hub_access.without_waiting(self.repo, self.qrels_repo or self.repo):
            hub = JudgedHub(self.repo, self.revision, self.subset, self.qrels_repo, complaints)
            layout = hub.layout() if self.config is None else None
            if layout is not None:
                self._refuse_settings_of_pairs()
                return judged(hub, layout, complaints)
            if self.relevant_from is not None:
                raise ConfigError(
                    f"data.relevant_from={self.relevant_from} is for judgements with grades, and pairs have none"
                )
            return pairs(complaints)

    def _refuse_settings_of_pairs(self) -> None:
        """Raise `ConfigError` for settings that a set with judgements would pass over."""
        if self.positive_from is not None:
            what = f"data.positive_from={self.positive_from} is for pairs with scores"
            instead = "data=hub data.repo=... data.relevant_from= sets the lowest grade of a relevant document"
            raise ConfigError(f"{what}, and {self.repo} has a corpus and judgements; {instead}")
        if chosen(self.columns):
            what = f"data.columns names those of pairs, and {self.repo} has a corpus and judgements"
            raise ConfigError(f"{what}; leave it out, or name a config of pairs by data.config=")

    def _called(self) -> str:
        repo = Path(self.repo).expanduser().resolve().name if hub_access.is_local(self.repo) else self.repo
        return self.name or (f"{repo}/{self.subset}" if self.subset else repo)

    def _judged(self, hub: JudgedHub, layout: HubLayout, complaints: Complaints) -> RetrievalData:
        data = judged_set(
            self._called(),
            hub.corpus(layout),
            hub.queries(layout),
            hub.qrels(layout),
            complaints,
            keep_own=self.own_documents == "keep",
            relevant_from=self.relevant_from,
        )
        # Many sets have only test: the shares, which are defaults, are no error then.
        return hold_out(data, self._shares()) if TRAIN in data.qrels else data

    def _judged_documents(self, hub: JudgedHub, layout: HubLayout, complaints: Complaints) -> RetrievalData:
        return documents_alone(self._called(), documents_of(hub.corpus(layout), complaints), complaints)

    def _paired(self, complaints: Complaints) -> RetrievalData:
        splits = self._splits(complaints)
        return paired(self._called(), splits, None, self._shares(), complaints, self.columns, self.positive_from)

    def _paired_documents(self, complaints: Complaints) -> RetrievalData:
        splits = self._splits(complaints)
        return paired_documents(self._called(), splits, None, complaints, self.columns, self.positive_from)

    def _splits(self, complaints: Complaints) -> dict[str, RowSource]:
        """The rows of each split."""
        found = hub_access.splits(self.repo, self.config, revision=self.revision)
        if self.split not in found:
            raise DataError(f"{self.repo}: no split {self.split!r} (data.split); there are: {', '.join(found)}")
        others = {name: dataset for name, dataset in found.items() if split_name(name) in ("dev", "test")}
        others.pop(self.split, None)
        splits = {"train": found[self.split], **by_split(self.repo, others)}
        return {split: self._pairs(split, dataset, complaints) for split, dataset in splits.items()}

    def _pairs(self, split: str, dataset: Dataset, complaints: Complaints) -> RowSource:
        name = f"{self.repo} [{self.config or 'default'}, {split}]"
        head = dataset.select(range(min(LOOKED_AT, len(dataset))))
        # As they are kept: an image or a sound would be decoded in a row of `datasets`' own.
        first = hub_access.source(name, head, dataset.column_names, Complaints("skip"))
        try:
            found = Examples(self.columns, self.positive_from).first_row(row for _, row in first.rows)
        except BadRow as bad:
            raise DataError(f"{name}: {bad}") from None
        used = dataset.column_names if found is None else found[0].used
        return hub_access.source(name, dataset, used, complaints)
