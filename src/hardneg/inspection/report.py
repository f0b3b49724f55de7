"""The whole report as plain values: what `hardneg inspect --json` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hardneg.data.scripts import scripts
from hardneg.errors import ConfigError
from hardneg.inspection.columns_read import columns_read
from hardneg.inspection.findings import findings
from hardneg.inspection.first_hits import first_hits
from hardneg.inspection.labels import labels, leaks
from hardneg.inspection.lengths import lengths, sampled
from hardneg.inspection.opened import OpenedSet
from hardneg.inspection.texts import Alike, duplicates, empty, queries_that_are_documents
from hardneg.inspection.train_command import train_command

SCRIPT_TEXTS = 2000  # texts of either side whose letters are counted


@dataclass(frozen=True)
class Bounds:
    """The most that is looked at: queries of each split and documents by BM25, texts of either side by length.

    Raises `ConfigError` for numbers below 1.
    """

    queries: int = 500
    documents: int = 100_000
    texts: int = 20_000

    def __post_init__(self) -> None:
        for key in ("queries", "documents", "texts"):
            if getattr(self, key) < 1:
                raise ConfigError(f"--{key} {getattr(self, key)}: must be at least 1")


def inspect(opened: OpenedSet, bounds: Bounds) -> dict[str, Any]:
    """Look at a data set; the last entry, `command`, trains on it."""
    data = opened.data
    alike = Alike.of(data)
    sides = {"query": data.queries, "document": data.corpus}
    report: dict[str, Any] = {
        "data": {
            "name": data.name,
            "documents": len(data.corpus),
            "queries": len(data.queries),
            "sets": [part.name for part in data.mixed],
            "given_negatives": None if data.given is None else len(data.given.values),
            "given_scores": data.scored is not None,
            "query_prompt": data.query_prompt,
            "fingerprint": data.corpus.fingerprint,
        },
        "read_as": columns_read(opened.settings),
        "left_out": {"rows": dict(data.skipped), "first": opened.first_bad},
        "splits": labels(data),
        "leaks": leaks(data, alike),
        "encoder": opened.chosen,
        "lengths": lengths(data, opened.recipe, bounds.texts),
        "scripts": {side: scripts(sampled(texts, SCRIPT_TEXTS).texts.to_pylist()) for side, texts in sides.items()},
        "empty": {side: empty(texts) for side, texts in sides.items()},
        "duplicates": {
            "query": duplicates(data.queries, alike.queries),
            "document": duplicates(data.corpus, alike.docs),
        },
        "queries_that_are_documents": queries_that_are_documents(data, alike),
        **first_hits(data, alike, bounds.queries, bounds.documents),
    }
    report["findings"] = findings(report)
    return report | train_command(opened, report)
