"""Where clicks on interleaved lists come from: a user simulated from judgements, or the log of a live test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hardneg.ab.gained_lost import Lists
from hardneg.ab.interleaving import NEW, OLD, Impression, team_draft
from hardneg.ab.simulated_users import User
from hardneg.data.readers.fields import Identifiers
from hardneg.data.readers.lines import BadRow, Strict, json_lines
from hardneg.errors import UserError
from hardneg.retrieval.metrics import Labels
from hardneg.system.progress import track

LAYOUT = 'write {"query": "q1", "teams": ["old", "new", ...], "clicks": [1, 4]}: teams from the top, ranks from 1'


def simulated(
    old: Lists, new: Lists, labels: Labels, queries: Sequence[str], user: User, k: int, each: int, seed: int
) -> Iterator[Impression]:
    """Show `each` interleaved lists of `k` results a query; the same seed gives the same clicks."""
    for number, query in enumerate(track(queries, "interleave", "queries")):
        rng = np.random.default_rng([seed, number])
        for _ in range(each):
            drafted = team_draft(old.get(query, ()), new.get(query, ()), k, rng)
            yield Impression(query, user.clicks(drafted, labels[query], rng))


def logged(path: Path) -> tuple[str, list[Impression]]:
    """Read a click log in JSON lines; return what counts as one draw (`user` where all lines name one, else `query`).

    Raises `DataError` with file and line for a broken line; `UserError` where there is no such file.
    """
    if not path.is_file():
        raise UserError(f"--clicks {path}: no such file; {LAYOUT}")
    complaints, rows, ids = Strict(), list[tuple[dict[str, Any], tuple[str, ...]]](), Identifiers("query")
    for line, row in json_lines(path, complaints):
        try:
            ids.of(row)
            rows.append((row, _teams(row)))
        except BadRow as bad:
            complaints.about(path, line, bad)
    unit = "user" if all(row.get("user") is not None for row, _ in rows) else "query"
    return unit, [Impression(str(row[unit]), teams) for row, teams in rows]


def _teams(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The team of each click of a logged line."""
    teams, clicks = row.get("teams"), row.get("clicks")
    if not isinstance(teams, list) or not teams or not set(map(str, teams)) <= {OLD, NEW}:
        raise BadRow("teams", f"'teams' must be a list of {OLD!r} and {NEW!r}, got {teams!r}", LAYOUT)
    if not isinstance(clicks, list) or not all(type(rank) is int and 1 <= rank <= len(teams) for rank in clicks):
        raise BadRow("clicks", f"'clicks' must be ranks from 1 to {len(teams)}, got {clicks!r}", LAYOUT)
    return tuple(teams[rank - 1] for rank in sorted(set(clicks)))  # repeated clicks on a result count once
