"""By how much the teacher is better than each of its students: its own ranking of the test queries, paired.

usage: teacher.py DATA OUT [START]      (as study/run.py; writes START-teacher.md)

Of a set that has been trained on no more than in-batch it says whether the precondition holds there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_module

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "study"))

import contrasts  # noqa: E402
import design  # noqa: E402
import table  # noqa: E402

from hardneg.compare import statistics  # noqa: E402
from hardneg.compare.statistics import Difference, SeedVariance  # noqa: E402
from hardneg.config import classes, composition  # noqa: E402
from hardneg.mining.baseline import baseline_run  # noqa: E402
from hardneg.retrieval.metrics import per_query  # noqa: E402
from hardneg.runs.saved_config import open_data, read_config  # noqa: E402

PRECONDITION = 0.05  # by so much the teacher must be above the student that in-batch training makes
DEPTH = 100
WORDS = ["negatives=[in_batch,mined]", "+encoder@negatives.mined.miner.encoder=minilm"]


def main(data: Path, out: Path, start: str) -> None:
    """Write the tables: the precondition, and how much of the lead each arm leaves."""
    study = design.read(HERE, data)
    sets = [one for name in study.sets if (one := contrasts.load(study, out, start, name)) is not None]
    teachers = {one.data: ranked(one, study) for one in sets}
    lines = [
        "| set | teacher | student, in-batch | difference | the teacher is better by 5 points |",
        "|" + " --- |" * 5,
    ]
    for one in sets:
        d, student = lead(one, teachers[one.data], study.baseline, study.metric), one.arms[study.baseline]
        holds = "yes" if d.mean >= PRECONDITION and d.interval()[0] > 0 else "no: left out"
        levels = [teachers[one.data].mean(), student.means(study.metric).mean()]
        cells = [one.data, *(f"{level:.4f}" for level in levels), table.points(d), holds]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## The teacher's lead over each arm, points", ""]
    lines += ["| arm | " + " | ".join(one.data for one in sets) + " |", "|" + " --- |" * (len(sets) + 1)]
    for arm in study.arms:
        found = [lead(one, teachers[one.data], arm, study.metric) if arm in one.arms else None for one in sets]
        lines.append(f"| {arm} | " + " | ".join("" if d is None else table.points(d) for d in found) + " |")
    lines += [
        "",
        f"Test {study.metric}; 95% intervals over the student's seeds and clusters of queries, not corrected.",
    ]
    text = "\n".join([f"# {HERE.name}, start: {start}: the teacher", "", *lines, ""])
    (HERE / f"{start}-teacher.md").write_text(text, encoding="utf-8")
    print(text)


def ranked(one: contrasts.OneSet, study: design.Study) -> np.ndarray:
    """The teacher's metric of each test query, in the order of `contrasts.values`."""
    run = next(iter(one.arms[study.baseline].runs.values()))
    data, cache = open_data(run.folder), Path(read_config(run.folder).cache)
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        miner = classes.build(compose("train", WORDS).negatives.mined.miner)
    ranking = baseline_run(miner, data, "test", DEPTH, cache)
    values = per_query(ranking, data.split("test"), data, [study.metric])[study.metric]
    ids = np.asarray(data.queries.ids.take(ranking.queries).to_pylist())
    assert run.per_query is not None
    order = np.argsort(ids)
    assert (ids[order] == run.per_query.ids).all(), "the same test queries"
    return values[order]


def lead(one: contrasts.OneSet, teacher: np.ndarray, arm: str, metric: str) -> Difference:
    """The teacher less a student, whose seeds alone vary."""
    seeds = sorted(one.arms[arm].runs)
    d = teacher[None] - contrasts.values(one.arms[arm], seeds, metric)
    spread = None if one.spread is None else SeedVariance(one.spread.value / 2, one.spread.freedom)
    return statistics.crossed(statistics.by_cluster(d, one.clusters), spread)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    composition.register_resolvers()
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3] if len(sys.argv) > 3 else "static")
