"""Runs with several test sets, and runs on several data: one of them, all of them, and the table over them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folders import run_folder, sweep

from hardneg.commands.compare import main
from hardneg.compare.arms import arms
from hardneg.compare.contrasts import ComparisonPlan, compare
from hardneg.compare.finished_runs import find
from hardneg.errors import UserError

SETS = {"test": 60, "far": 20}


def several(path, strategy, seed, by_set, config=None):
    """A run that was tested on several sets, with these values by query."""
    run_folder(path, strategy, seed, np.concatenate(list(by_set.values())), config=config)
    means = {name: {"after": {"ndcg@10": float(np.mean(v))}} for name, v in by_set.items()}
    summary = json.loads((path / "summary.json").read_text())
    summary |= {"test_by_set": means, "test_set": {name: f"print of {name}" for name in by_set}}
    summary["test"] = {"after": {"ndcg@10": float(np.mean([np.mean(v) for v in by_set.values()]))}}
    (path / "summary.json").write_text(json.dumps(summary))
    ids = [f"{name}/q{i}" for name, v in by_set.items() for i in range(len(v))]
    sets = [name for name, v in by_set.items() for _ in v]
    values = np.concatenate(list(by_set.values())).tolist()
    table = {"query_id": ids, "set": sets, "system": ["after"] * len(ids), "ndcg@10": values}
    pq.write_table(pa.table(table), path / "per_query.parquet")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    hard = {name: rng.normal(0.4, 0.15, n) for name, n in SETS.items()}
    for arm, gain in {"a": 0.0, "b": 0.1}.items():
        for seed in (1, 2, 3):
            values = {name: hard[name] + gain * (name == "test") + rng.normal(0, 0.02, n) for name, n in SETS.items()}
            several(tmp_path / f"{arm}-{seed}", arm, seed, values, config={"split": {"test": list(SETS)}})
    return tmp_path


def test_one_set_is_compared_as_if_the_runs_had_no_other(folder):
    runs = [run.on("far") for run in find([folder]).runs]
    table = compare("toy", arms(runs), ComparisonPlan("ndcg@10"))
    values = [
        pq.read_table(folder / f"b-{seed}" / "per_query.parquet")["ndcg@10"].to_numpy()[60:] for seed in (1, 2, 3)
    ]
    assert table.rows[0].contrast is None or table.contrasts["b-infonce"].difference.queries == 20
    assert {row.arm: row.mean for row in table.rows}["b-infonce"] == pytest.approx(np.mean(values))
    assert runs[0].summary["test_set"] == "print of far" and runs[0].on("test") is None


def test_the_table_over_sets_marks_what_is_tested_and_its_mean_counts_sets_alike(folder, tmp_path, capsys):
    files = [tmp_path / name for name in ("out.md", "out.tex", "out.csv")]
    options = [word for pair in zip(("--markdown", "--latex", "--csv"), map(str, files), strict=True) for word in pair]
    main([str(folder), "--baseline", "plain", "--name", "a-infonce=plain", "--name", "b-infonce=ours, new", *options])
    shown = capsys.readouterr().out
    assert "mean of 2 sets, against plain" in shown and "all sets: test ndcg@10" in shown
    rows = {row["data"] + row["arm"]: row for row in csv.DictReader(files[2].open())}
    far, near, both = (float(rows[f"{name}ours, new"]["mean"]) for name in ("far", "test", "toy"))
    assert both == pytest.approx((far + near) / 2)
    row = next(line for line in files[0].read_text().splitlines() if line.startswith("| ours, new | **"))
    assert row.split(" | ")[1:3] == [f"**{near:.4f}†**", f"**{far:.4f}**" if row.count("**") == 6 else f"{far:.4f}"]
    text = files[1].read_text()
    overview = text[text.rindex(r"\begin{table}") :]
    assert r"Arm & test & far & Mean \\" in overview and rf"\textbf{{{near:.3f}}}$^{{\dagger}}$" in overview
    for said in ("means over 3 seeds", "Bold: the highest", r"$^{\ddagger}$ worse than plain", "not over the sets"):
        assert said in overview
    assert "a-infonce" not in text + shown


def test_queries_of_a_large_and_a_small_set_are_won_by_what_they_gained(tmp_path):
    rng = np.random.default_rng(0)
    gains = {"small": rng.normal(0.001, 0.0005, 10), "large": rng.normal(0.015, 0.001, 490)}
    for seed in (1, 2, 3):
        base = {name: rng.uniform(0.3, 0.5, len(gain)) for name, gain in gains.items()}
        several(tmp_path / f"a{seed}", "a", seed, base)
        several(tmp_path / f"b{seed}", "b", seed, {name: base[name] + gain for name, gain in gains.items()})
    found = compare("toy", arms(find([tmp_path]).runs), ComparisonPlan("ndcg@10")).contrasts["b-infonce"]
    everything, weights = np.concatenate(list(gains.values())), np.repeat([25, 25 / 49], [10, 490])
    assert found.difference.mean == pytest.approx(np.mean([gain.mean() for gain in gains.values()]))
    assert found.wins == (int((everything > 0.01).sum()), int((everything <= 0.01).sum()), 0) and found.wins[0] > 480
    spread = np.sqrt(np.cov(everything, aweights=weights, ddof=0) * 500 / 499)
    assert found.dz == pytest.approx(found.difference.mean / spread)


def test_several_data_become_columns_and_an_arm_that_some_lack_has_no_mean(tmp_path, capsys):
    sweep(tmp_path / "toy", {"a": 0.4, "b": 0.6})
    for seed in (1, 2, 3):
        run_folder(tmp_path / f"other{seed}", "a", seed, [0.2 + seed / 100] * 50, data="other")
    main([str(tmp_path), "--baseline", "a-infonce"])
    shown = capsys.readouterr().out
    last = shown[shown.index("all sets") :]
    assert "b-infonce was not tested on other, so it has no mean" in last and "The mean is not tested" in last
    assert last.index("a-infonce") < last.index("b-infonce")


def test_clusters_of_all_sets_are_cut_to_each(folder, tmp_path, capsys):
    lines = [f"{name}/q{i}\tc{name}{i // 2}\n" for name, n in SETS.items() for i in range(n)]
    (tmp_path / "clusters.tsv").write_text("".join(lines))
    main([str(folder), "--cluster", str(tmp_path / "clusters.tsv")])
    assert "paired by seed and cluster of queries" in capsys.readouterr().out.split("all sets")[1]


def test_the_figures_of_one_set_are_drawn(folder, tmp_path):
    main([str(folder), "--set", "far", "--figures", str(tmp_path / "figures"), "--format", "svg"])
    drawn = sorted((tmp_path / "figures").iterdir())
    assert [path.name for path in drawn] == ["toy-curves.svg", "toy-effects.svg"]
    assert "toy on far: test ndcg@10" in drawn[1].read_text()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--set", "gone"], "no run was tested on it; there are far, test"),
        (["--name", "c=d"], "write OLD=NEW; the arms are: a-infonce; b-infonce"),
        (["--name", "a-infonce="], "write OLD=NEW"),
        (["--name", "a-infonce=b-infonce"], "another arm is called b-infonce too"),
    ],
)
def test_a_set_or_an_arm_that_there_is_not(folder, words, said):
    with pytest.raises(UserError, match=said):
        main([str(folder), *words])


def test_a_renamed_arm_is_still_told_by_its_settings(tmp_path, capsys):
    sweep(tmp_path / "0", {"a": 0.4}, batch_size=32)
    sweep(tmp_path / "1", {"a": 0.5}, batch_size=64)
    main([str(tmp_path), "--name", "a-infonce batch_size=32=small", "--baseline", "small"])
    shown = capsys.readouterr().out
    assert "small" in shown and "differs from the baseline also" not in shown
