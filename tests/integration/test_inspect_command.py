"""The command that `hardneg inspect` ends with works as it is pasted."""

from __future__ import annotations

import csv
import json
import shlex

import pytest

QUICK = ("trainer.max_epochs=1", "logger=csv", "trainer.accelerator=cpu", "hydra.run.dir=run")


@pytest.mark.parametrize("name", ["pairs.csv", "my pairs, of 2024.jsonl"])
def test_the_command_that_is_shown_trains(hardneg, tmp_path, name):
    rows = [(f"where is farm{n} of {n % 7}", f"farm{n} lies near the old mill of town{n % 7}") for n in range(40)]
    with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
        if name.endswith(".csv"):
            csv.writer(file).writerows([("question", "answer"), *rows])
        else:
            file.writelines(json.dumps({"query": q, "positive": d}) + "\n" for q, d in rows)
            file.write("{no json\n")
    shown = hardneg("inspect", name).stdout.strip().splitlines()[-1]
    _, *words = shlex.split(shown)
    assert words[0] == "train"
    hardneg(*words, *QUICK)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    assert all("ndcg@10" in means for means in summary["test"].values()) and "after" in summary["test"]
