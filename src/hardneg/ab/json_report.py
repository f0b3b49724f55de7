"""The report as plain values, for machines."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from hardneg import __version__
from hardneg.ab.effects import Effect
from hardneg.ab.report import Report


def plain(report: Report) -> dict[str, Any]:
    """Return everything but texts; unknown and infinite values are null."""
    changes, seen = report.changes, report.interleaved
    return {
        "hardneg": __version__,
        "old": report.old,
        "new": report.new,
        "judgements": report.judged.name,
        "queries": len(report.judged.ids),
        "verdict": report.verdict,
        "metrics": [effect(one) for one in report.effects],
        "k": changes.k,
        "tie": report.plan.tie,
        "lost": {"documents": len(changes.lost), "queries_share": changes.lost_share},
        "gained": {"documents": len(changes.gained), "queries_share": changes.gained_share},
        "rbo": float(report.rbo.mean()),
        "common": report.common,
        "unjudged@10": dict(zip(("old", "new"), report.unjudged, strict=True)),
        "slices": [effect(one) for one in report.slices],
        "interleaved": None
        if seen is None
        else {
            **{"source": seen.source, "unit": seen.unit, "wins_old": seen.old, "wins_new": seen.new},
            **{"ties": seen.ties, "without_click": seen.without_click, **_tested(seen.difference)},
        },
        "gate": {
            "limits": {key: value for key, value in asdict(report.plan.gate).items() if value is not None},
            "passed": report.passed,
            "reasons": list(report.reasons),
        },
        "per_query": {
            "id": report.judged.ids,
            "delta": report.delta.tolist(),
            "rbo": report.rbo.tolist(),
        },
        "worst": [asdict(example) for example in report.examples],
        "notes": list(report.notes),
    }


def effect(difference: Effect) -> dict[str, Any]:
    """One difference, as plain values."""
    won, tied, lost = difference.wins
    measured = {"name": difference.name, "queries": difference.queries, "old": difference.old, "new": difference.new}
    return {**measured, **_tested(difference.difference), "won": won, "tied": tied, "lost": lost}


def _tested(difference: Any) -> dict[str, Any]:
    low, high = difference.interval()
    found = {"delta": difference.mean, "low": low, "high": high, "p": difference.p, "units": difference.queries}
    return {key: value if math.isfinite(value) else None for key, value in found.items()}


def text(report: Report) -> str:
    """Write it as JSON."""
    return json.dumps(plain(report), indent=1, allow_nan=False) + "\n"
