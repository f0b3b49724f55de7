"""Do sets differ in what an arm is worth: Cochran's Q over their differences, and whether size goes with them.

usage: differ.py DATA OUT [START]      (as study/run.py; writes START-differ.md)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402

from hardneg.compare.p_values import written  # noqa: E402
from hardneg.compare.statistics import Difference, holm  # noqa: E402

HEAD = ("difference", "sets", "from", "to", "Q", "p Holm", "share of the spread that is of the sets", "with queries")


def main(data: Path, out: Path, start: str) -> None:
    """Write the table: each arm against the baseline, and each primary contrast."""
    study = design.read(HERE, data, start)
    sets = [one for name in study.sets if (one := contrasts.load(study, out, start, name)) is not None]
    asked = {f"{arm} - {study.baseline}": {arm: 1, study.baseline: -1} for arm in study.arms if arm != study.baseline}
    asked |= study.primary
    rows, tests = [], []
    for name, weights in asked.items():
        both = [(one, d) for one in sets if (d := contrasts.test(one, weights, study.metric)) is not None]
        if len(both) > 2:
            found = [d for _, d in both]
            tests.append(heterogeneity(found))
            means = [100 * d.mean for d in found]
            size = stats.spearmanr([training_queries(one) for one, _ in both], means)
            rows.append((name, f"{len(both)}", f"{min(means):+.1f}", f"{max(means):+.1f}", size))
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for row, (q, _, share), corrected in zip(rows, tests, holm([p for _, p, _ in tests]), strict=True):
        cells = [*row[:4], f"{q:.1f}", written(corrected), f"{share:.0%}"]
        lines.append("| " + " | ".join([*cells, f"{row[4].statistic:+.2f} (p {row[4].pvalue:.2f})"]) + " |")
    lines += [
        "",
        "Points. Q: Cochran's, of equal differences on all sets, chi-square with one degree of freedom less than sets.",
    ]
    lines += ["Share of the spread: I squared. With queries: Spearman's, of the difference with the number of training"]
    lines[-1] += " queries, not corrected."
    text = "\n".join([*lines, ""])
    (HERE / f"{start}-differ.md").write_text(text, encoding="utf-8")
    print(text)


def heterogeneity(found: Sequence[Difference]) -> tuple[float, float, float]:
    """Cochran's Q, its p, and I squared (Higgins and Thompson 2002); the sets are independent."""
    means, weights = np.array([d.mean for d in found]), np.array([d.error**-2 for d in found])
    q = float((weights * (means - np.average(means, weights=weights)) ** 2).sum())
    freedom = len(found) - 1
    return q, float(stats.chi2.sf(q, freedom)), max(0.0, 1 - freedom / q) if q else 0.0


def training_queries(one: contrasts.OneSet) -> int:
    """How many queries the runs of a set learn from."""
    return int(next(iter(next(iter(one.arms.values())).runs.values())).summary["sizes"]["queries"]["train"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
