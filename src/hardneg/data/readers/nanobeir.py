"""NanoBEIR: thirteen small test sets, as one set of several or some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.data.mix import Mix
from hardneg.data.own_documents import check_own_documents
from hardneg.data.readers import hub_access
from hardneg.data.readers.folders import there_is
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.lines import Complaints
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError, DataError

SETS = (
    *("ClimateFEVER", "DBPedia", "FEVER", "FiQA2018", "HotpotQA", "MSMARCO", "NFCorpus", "NQ", "QuoraRetrieval"),
    *("SCIDOCS", "ArguAna", "SciFact", "Touche2020"),
)


@dataclass(frozen=True)
class NanoBeir:
    """The sets of NanoBEIR (50 queries and some thousand documents each), all judgements as the split `test`.

    Each query is ranked within its own set, and metrics are means over the sets' means, as NanoBEIR's are.
    Layout of `repo`: one repository whose configs `corpus`, `queries` and `qrels` have a split for each set
    (`sentence-transformers/NanoBEIR-en` and its translations), an owner of one repository for each set
    (`zeta-alpha-ai`), or a folder with a copy of either. `subset` names some sets (null: all 13). Documents without a
    text, which some sets have, are left out, as by NanoBEIR's evaluator; `on_error=raise` stops at them instead.

    Raises `ConfigError` for a set that is not among the 13, an empty `repo`, and an unknown `on_error` or
    `own_documents`.
    """

    repo: str = "sentence-transformers/NanoBEIR-en"
    subset: str | Sequence[str] | None = None
    revision: str | None = None
    on_error: str = "skip"
    own_documents: str = "leave_out"
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.repo.strip():
            raise ConfigError("data.repo is empty; write a repository or a folder")
        Complaints(self.on_error)
        check_own_documents(self.own_documents)
        self._names()

    def load(self) -> RetrievalData:
        """Read the sets; raises `DataError` for one that cannot be had."""
        hubs: dict[str, Any] = {name: self._set(name) for name in self._names()}
        if len(hubs) == 1:
            return next(iter(hubs.values())).load()
        return Mix(hubs, name=self.name or Path(self.repo).name).load()

    def load_documents(self) -> RetrievalData:
        """Read the documents of one set alone, several sets whole; raises as `load` does."""
        names = self._names()
        return self._set(names[0]).load_documents() if len(names) == 1 else self.load()

    def _names(self) -> list[str]:
        """The sets' names as published; capitals and a `Nano` in front do not matter."""
        known = {name.lower(): f"Nano{name}" for name in SETS}
        if self.subset is None:
            return list(known.values())
        asked = [self.subset] if isinstance(self.subset, str) else list(self.subset)
        names = [known.get(str(name).lower().removeprefix("nano")) for name in asked]
        if not asked or None in names or len(set(names)) < len(names):
            raise ConfigError(
                f"data.subset is {self.subset!r}; name each set once, of: {', '.join(SETS)}; or null for all"
            )
        return [name for name in names if name]

    def _set(self, name: str) -> Hub:
        repo, subset = self.repo, None
        if not hub_access.is_local(self.repo):
            repo, subset = (self.repo, name) if "/" in self.repo else (f"{self.repo}/{name}", None)
        elif any(Path(self.repo).expanduser().glob("Nano*/")):
            repo = str(_folder_of(Path(self.repo).expanduser(), name))
        else:
            subset = name
        called = self.name if self.name and len(self._names()) == 1 else name
        return Hub(
            repo,
            subset=subset,
            revision=self.revision,
            on_error=self.on_error,
            own_documents=self.own_documents,
            name=called,
        )


def _folder_of(folder: Path, name: str) -> Path:
    """The folder of one set, whose name may be longer: NanoNQRetrieval, NanoNQ-bm25."""
    found = sorted(path for path in folder.glob("Nano*/") if path.name.lower().startswith(name.lower()))
    if not found:
        raise DataError(f"{folder}: no folder {name} (leave it out with data.subset=[...]); {there_is(folder)}")
    return found[0]
