"""What docs/metrics.md says of the columns of metrics.csv: every column of a run has a line there."""

from __future__ import annotations

import csv
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_metric_of_a_run_is_on_the_page(hardneg, small, tmp_path):
    names = [
        name
        for cell in re.findall(r"^\| (.*?) \|", PAGE.read_text(), flags=re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", cell)
    ]
    patterns = [re.compile(re.sub(r"<\w+>", "[^/]+", re.escape(name).replace(r"\<", "<"))) for name in names]
    hardneg(
        "train", *small, "data.docs=300", "data.queries=160", "evaluate.before=false",
        "strategy=easy_to_hard", "loss=[infonce,triplet]", "callbacks=[lr_monitor]", "logger=csv",
        "trainer.max_epochs=3", "evaluate.bm25=null", f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    with (tmp_path / "run" / "metrics.csv").open() as file:
        columns = csv.DictReader(file).fieldnames
    assert len(columns) > 30
    assert not [c for c in columns if not any(p.fullmatch(c) for p in patterns)]
