"""Which column of a table is read as what, with the first pair: a wrong guess shows at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardneg.data.readers.columns import POSITIVE, POSITIVES, QUERIES, QUERY, Roles, chosen
from hardneg.data.readers.table import Table
from hardneg.errors import DataError

READERS = ("hardneg.data.readers.table.Table", "hardneg.data.readers.jsonl.Jsonl")  # of rows with columns


def columns_read(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the `columns` by role, whether they were `guessed` by their order, and the first pair; else None.

    None for data that are not a table, or whose first row does not tell.
    """
    path, columns = str(settings.get("path") or ""), chosen(settings.get("columns"))
    if settings["_target_"] not in READERS or not Path(path).expanduser().exists():
        return None
    try:
        found = Table(path, columns=columns, positive_from=settings.get("positive_from")).first_row()
    except DataError:
        return None
    if found is None:
        return None
    roles, row = found
    read = {"query": [roles.query], "positive": list(roles.positive), "negative": [*roles.negative, *roles.fallback]}
    read["score"] = [roles.score] if roles.score else []
    return {
        "columns": {role: names for role, names in read.items() if names},
        "guessed": not columns and not _usual(roles),
        "query": row.get(roles.query),
        "positive": _first(row.get(roles.positive[0])),
    }


def _first(cell: Any) -> Any:
    """The first of several positives; its text, of one with an id and a title."""
    one = cell[0] if isinstance(cell, list) and cell else cell
    return one.get("text", one) if isinstance(one, Mapping) else one


def _usual(roles: Roles) -> bool:
    """Whether both sides were recognised by their names, not by their order."""
    asked = {name.lower() for name in (*QUERIES, *QUERY, "query_text", "question")}
    found = {name.lower() for name in (*POSITIVES, "positive", "pos")}
    known = roles.positive[0].lower() in found or POSITIVE.fullmatch(roles.positive[0]) is not None
    layout = roles.positive[0] in ("positive_passages", "positive_document_ids", "positive_ctxs")
    return layout or (roles.query.lower() in asked and known)
