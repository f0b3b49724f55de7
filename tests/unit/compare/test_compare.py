"""From run folders to tables, files and figures, as the command line does it."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from folders import run_folder, sweep

from hardneg.commands.compare import main
from hardneg.compare import clusters
from hardneg.compare.arms import arms
from hardneg.compare.contrasts import ComparisonPlan, compare, usual_baseline
from hardneg.compare.finished_runs import find
from hardneg.compare.power import detectable
from hardneg.compare.tables import markdown, records
from hardneg.data.tables import Qrels
from hardneg.errors import DataError, UserError
from hardneg.testing.synthetic import make_data


def compared(folder, **plan):
    return compare("toy", arms(find([folder]).runs), ComparisonPlan("ndcg@10", **plan))


def test_primary_arms_are_corrected_for_and_the_others_are_exploratory(tmp_path):
    sweep(tmp_path, {"a": 0.4, "b": 0.5, "c": 0.405, "d": 0.41})
    every, some = compared(tmp_path), compared(tmp_path, primary=["c-infonce"])
    raw = {name: contrast.difference.p for name, contrast in every.contrasts.items()}
    assert every.contrasts["b-infonce"].p_holm == pytest.approx(3 * raw["b-infonce"])
    assert some.contrasts["c-infonce"].p_holm == pytest.approx(raw["c-infonce"])
    assert some.contrasts["b-infonce"].p_holm is None
    assert some.contrasts["b-infonce"].verdict == "better (exploratory)"
    assert every.contrasts["b-infonce"].verdict == "better"


def test_an_arm_within_the_margin_is_equivalent_and_without_a_margin_open(tmp_path):
    sweep(tmp_path, {"a": 0.4, "b": 0.4, "c": 0.3}, queries=2000)
    assert compared(tmp_path).contrasts["b-infonce"].verdict == "open"
    found = compared(tmp_path, margin=0.02).contrasts
    assert found["b-infonce"].verdict == "equivalent" and found["c-infonce"].verdict == "worse"


def test_what_must_be_said_is_said(tmp_path):
    sweep(tmp_path / "0", {"a": 0.4}, seeds=(1, 2, 3), batch_size=64)
    sweep(tmp_path / "1", {"b": 0.41}, seeds=(2, 3, 4), batch_size=32)
    sweep(tmp_path / "2", {"c": 0.41}, seeds=(9,), batch_size=64)
    notes = "\n".join(compared(tmp_path).notes)
    assert "b-infonce: paired on seeds 2, 3; 1, 4 left out" in notes
    assert "b-infonce differs from the baseline also in batch_size=32 (64)" in notes
    assert "c-infonce shares no seed with the baseline" in notes
    assert "Two seeds" in notes and "ONE SEED" not in notes
    assert "b-infonce is not resolved: this design finds 0." in notes


def test_what_arms_trained_with_is_said_where_it_differs(tmp_path):
    for name, queries, documents in (("in_batch", 1280, 1.0), ("bm25", 1280, 5.0), ("random", 1600, 5.0)):
        for folder in sweep(tmp_path / name, {name: 0.4}).iterdir():
            told = json.loads((folder / "summary.json").read_text())
            told |= {"throughput": {"queries": queries, "documents_per_query": documents}}
            (folder / "summary.json").write_text(json.dumps(told))
    said = "Trained at unequal cost, in queries x documents embedded for each: "
    (note,) = (note for note in compared(tmp_path).notes if note.startswith(said))
    assert note == f"{said}1,280 x 1.0 (in_batch-infonce); 1,280 x 5.0 (bm25-infonce); 1,600 x 5.0 (random-infonce)."
    shutil.rmtree(tmp_path / "in_batch")
    shutil.rmtree(tmp_path / "random")
    sweep(tmp_path / "other", {"other": 0.4})  # as of W&B logs, which have no such numbers
    assert not any("cost" in note for note in compared(tmp_path).notes)


def test_one_seed_is_tested_over_queries_with_a_warning(tmp_path):
    sweep(tmp_path, {"a": 0.4, "b": 0.6}, seeds=(1,))
    found = compared(tmp_path)
    assert found.contrasts["b-infonce"].verdict == "better (this seed only)"
    assert any(note.startswith("ONE SEED") for note in found.notes)
    assert "| b-infonce | 1 | 0.6" in markdown(found) and "nan" not in markdown(found), "one seed has no SD"


def test_two_arms_with_two_seeds_get_no_verdict_and_more_arms_do(tmp_path):
    sweep(tmp_path / "two", {"a": 0.4, "b": 0.6}, seeds=(1, 2), queries=2000)
    found = compared(tmp_path / "two")
    contrast = found.contrasts["b-infonce"]
    assert contrast.verdict == "none (too few seeds)" and contrast.p == 1
    assert any(note.startswith("Two seeds of two arms") for note in found.notes)
    row = next(row for row in records([found]) if row["arm"] == "b-infonce")
    assert row["p"] is None and row["p_holm"] is None and row["df_seeds"] == 1
    sweep(tmp_path / "four", {"a": 0.4, "b": 0.6, "c": 0.5, "d": 0.45}, seeds=(1, 2), queries=2000)
    found = compared(tmp_path / "four")
    assert {contrast.verdict for contrast in found.contrasts.values()} == {"better"}
    assert {contrast.difference.seed_freedom for contrast in found.contrasts.values()} == {3}
    freedoms = [contrast.difference.freedom for contrast in found.contrasts.values()]
    assert max(freedoms) < 3 * min(freedoms)


def test_what_a_design_finds_comes_with_its_degrees_of_freedom_and_alpha(tmp_path):
    sweep(tmp_path, {"a": 0.4, "b": 0.401, "c": 0.4}, queries=100)
    found = compared(tmp_path)
    note = next(note for note in found.notes if note.startswith("b-infonce is not resolved"))
    d = found.contrasts["b-infonce"].difference
    assert f"finds {detectable(d, 0.025):.4f} in 80% of tries (df {d.freedom:.1f}, alpha 0.025)" in note
    assert f"{d.freedom:.1f}" in markdown(found) and "| df |" in markdown(found)


def test_without_per_query_values_only_seeds_are_tested(tmp_path):
    for seed in (1, 2, 3):
        run_folder(tmp_path / f"a{seed}", "a", seed, [0.1 * seed, 0.5])
        run_folder(tmp_path / f"b{seed}", "b", seed, [0.1 * seed, 0.6 + 0.02 * seed], per_query=False)
    found = compared(tmp_path)
    assert found.contrasts["b-infonce"].difference.queries == 0
    assert found.contrasts["b-infonce"].difference.mean == pytest.approx(0.07)
    assert any("other seeds, not other queries" in note for note in found.notes)


def test_an_arm_that_there_is_not_is_named(tmp_path):
    sweep(tmp_path, {"a": 0.4, "b": 0.5})
    with pytest.raises(UserError, match=r"--baseline x: no such arm; there are: a-infonce; b-infonce"):
        compared(tmp_path, baseline="x")
    with pytest.raises(UserError, match=r"--primary x: no such arm"):
        compared(tmp_path, primary=["x"])
    with pytest.raises(UserError, match=r"--margin -1.0: must be above 0"):
        main([str(tmp_path), "--margin", "-1"])
    with pytest.raises(UserError, match=r"--margin nan: must be above 0"):
        main([str(tmp_path), "--margin", "nan"])


def test_the_command_writes_every_file(tmp_path, capsys):
    sweep(tmp_path / "runs", {"in_batch": 0.4, "bm25": 0.5}, encoder={"_target_": "x"})
    (tmp_path / "clusters.tsv").write_text("".join(f"q{i}\tc{i // 5}\n" for i in range(200)))
    out = {name: tmp_path / "out" / f"t.{name}" for name in ("markdown", "latex", "csv")}
    files = [word for name, path in out.items() for word in (f"--{name}", str(path))]
    figures = ["--figures", str(tmp_path / "figures"), "--format", "svg"]
    words = ["--baseline", "in_batch-infonce", "--metric", "ndcg@10,recall@100", "--margin", "0.01"]
    main([str(tmp_path / "runs"), *words, "--cluster", str(tmp_path / "clusters.tsv"), *files, *figures])
    printed = capsys.readouterr().out
    assert "toy: test ndcg@10" in printed and "toy: test recall@100" in printed and "3 x 40" in printed
    assert "| bm25-infonce | 3 |" in out["markdown"].read_text()
    assert r"in\_batch-infonce & 0." in out["latex"].read_text() and r"\toprule" in out["latex"].read_text()
    rows = list(csv.DictReader(out["csv"].open()))
    assert [row["metric"] for row in rows] == ["ndcg@10"] * 2 + ["recall@100"] * 2
    best = rows[0]
    assert (best["arm"], best["verdict"], best["paired_units"], best["unit"]) == (
        "bm25-infonce",
        "better",
        "40",
        "cluster",
    )
    assert float(best["low"]) < float(best["difference"]) < float(best["high"])
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["toy-curves.svg", "toy-effects.svg"]


def test_a_learning_curve_is_the_mean_and_the_range_over_seeds(tmp_path):
    from hardneg.compare.figures import band

    sweep(tmp_path, {"a": 0.4}, seeds=(1, 3))
    arm = arms(find([tmp_path]).runs)["a-infonce"]
    rows = {run.seed: run.summary["dev"]["history"] for run in arm.runs.values()}
    curve = band(
        arm, lambda run: ([float(r["step"]) for r in rows[run.seed]], [r["val/ndcg@10"] for r in rows[run.seed]])
    )
    np.testing.assert_allclose(curve, [[0, 5, 10], [2, 2.5, 3], [1, 1.5, 2], [3, 3.5, 4]])


def test_what_a_source_kept_is_drawn_from_0_to_1_and_its_loss_as_it_is(tmp_path):
    from hardneg.compare.figures import sources

    sweep(tmp_path, {"a": 0.4}, seeds=(1, 2))
    rows = "step,negatives/bm25/loss,negatives/bm25/kept,mining/bm25/recall\n5,40,0.9,0.8\n10,30,0.95,0.85\n"
    for folder in tmp_path.iterdir():
        (folder / "metrics.csv").write_text(rows)
    figure = sources(arms(find([tmp_path]).runs))
    limits = {ax.get_title(): ax.get_ylim() for ax in figure.axes if ax.get_title()}
    assert limits["bm25: kept"] == limits["bm25: recall when mined"] == (0, 1.05)
    assert limits["bm25: loss"][1] > 30


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.tsv", "q0\ta\nq1 b\n", r"c.tsv:2: must be a query id and a cluster"),
        ("c.csv", "q0,a\nq0,b\n", r"c.csv:2: query 'q0' is in cluster 'a' already"),
        ("c.csv", 'q0,a\n\nq1,"b\nq2,c\n', r"c.csv:3: broken quotes \(unexpected end of data\)"),
        ("c.csv", "q0,a\r\rq1\r", r"c.csv:3: must be a query id and a cluster"),
        ("c.json", "[1]", r"c.json:1: must be an object"),
        ("c.json", "{", r"c.json:1: not JSON"),
        ("c.tsv", "q0\ta\nq1\té\n", r"c.tsv:2: not UTF-8"),  # as a spreadsheet may save it
        ("c.json", '{"q0": "é"}', r"c.json: not UTF-8 \(at byte 8\); save the file as UTF-8"),
    ],
)
def test_a_broken_file_of_clusters_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        clusters.read(tmp_path / name)


def test_clusters_from_a_file(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"q0": "b", "q1": 7, "q2": "b", "other": "x"}')
    ids = np.array(["q0", "q1", "q2"])
    assert clusters.numbered(clusters.read(path), ids, path).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"1 of 4 test queries have no cluster, such as 'q9'"):
        clusters.numbered(clusters.read(path), np.append(ids, "q9"), path)


def test_blank_lines_and_packing_of_a_file_of_clusters_do_not_matter(tmp_path):
    lines = 'q0\ta\n\n"q 1"\tb\n\n'
    (tmp_path / "c.tsv").write_text(lines)
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(lines.replace("\t", ",").encode()))
    assert clusters.read(tmp_path / "c.tsv") == clusters.read(tmp_path / "c.csv.gz") == {"q0": "a", "q 1": "b"}


def test_line_ends_of_an_old_macintosh_and_within_a_quoted_cell_are_read(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"q0,a\r\rq 1,b\r")
    (tmp_path / "c.tsv").write_bytes(b'q0\ta\r\n"q 1"\t"b\nand more"\r\n')
    assert clusters.read(tmp_path / "c.csv") == {"q0": "a", "q 1": "b"}
    assert clusters.read(tmp_path / "c.tsv") == {"q0": "a", "q 1": "b\nand more"}


def test_queries_that_share_a_positive_are_one_cluster_also_through_others():
    data = make_data([(0, 1), (1, 1), (1, 2), (2, 2), (3, 5), (4, 6), (3, 6, 0)], queries=5)
    found = clusters.components(data.split("train"), len(data.queries))
    assert found[0] == found[1] == found[2] != found[3] != found[4] != found[0]


def test_queries_of_two_splits_of_one_data_set_are_joined_as_those_of_one_are(tmp_path, monkeypatch):
    data = make_data([(0, 1), (1, 2), (2, 3), (3, 4)], queries=4)
    every = data.split("train")
    hard = Qrels(np.array([0, 2], np.int32), np.array([1, 2], np.int32), np.ones(2, np.float32))  # 0 again; 2 as 1
    data = replace(data, qrels={"test": every, "hard": hard})
    other = replace(make_data([(0, 1)], queries=1))
    sets = [("test/", data, "test"), ("hard/", data, "hard"), ("far/", other, "train")]
    monkeypatch.setattr(clusters, "_tested_on", lambda run: iter(sets))
    (run,) = find([run_folder(tmp_path / "a", "a", 1, [0.5])]).runs
    names = data.queries.ids.to_pylist()
    ids = [*(f"test/{name}" for name in names), f"hard/{names[0]}", f"hard/{names[2]}", f"far/{names[0]}"]
    zero, one, two, three, again, near, far = clusters.sharing_positives(run, np.array(ids)).tolist()
    assert zero == again and one == two == near and len({zero, one, three, far}) == 4


def test_fifty_runs_of_ten_thousand_queries_take_seconds(tmp_path):
    rng = np.random.default_rng(0)
    for arm in range(10):
        for seed in range(5):
            run_folder(tmp_path / f"{arm}-{seed}", f"a{arm}", seed, rng.random(10_000).tolist())
    started = time.process_time()
    compare("toy", arms(find([tmp_path]).runs), ComparisonPlan("ndcg@10", margin=0.01))
    assert time.process_time() - started < 10


def test_a_huge_rate_is_shown_by_its_exponent(tmp_path):
    for seed, rate in ((1, 1e38), (2, 0.01)):
        run_folder(tmp_path / f"a-{seed}", "a", seed, [0.5, 0.5], config={"encoder": {"lr": rate}, "n": 10**6 * seed})
    assert sorted(arms(find([tmp_path]).runs)) == [
        "a-infonce encoder.lr=0.01 n=2000000",
        "a-infonce encoder.lr=1e+38 n=1000000",
    ]


def test_in_batch_negatives_are_the_baseline_where_none_is_named(tmp_path, capsys):
    for strategy in ("bm25", "in_batch", "lexical"):
        for seed in (1, 2, 3):
            run_folder(tmp_path / f"{strategy}-{seed}", strategy, seed, [0.5, 0.25 * seed])
    main([str(tmp_path)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "against in_batch-infonce" in shown and "No --baseline was named, so in_batch-infonce was taken." in shown
    main([str(tmp_path), "--baseline", "bm25-infonce"])
    assert "No --baseline was named" not in " ".join(capsys.readouterr().out.split())


def test_what_a_run_draws_says_more_than_its_name(tmp_path):
    sources = {"a": {"bm25": {"k": 1}, "in_batch": {"m": 1}}, "mine": {"in_batch": {"m": 1}}, "b": {"bm25": {"k": 1}}}
    for strategy, negatives in sources.items():
        run_folder(tmp_path / strategy, strategy, 1, [0.5, 0.5], config={"negatives": negatives})
    by_arm = arms(find([tmp_path]).runs)
    assert usual_baseline(by_arm) == "mine-infonce"
    del by_arm["mine-infonce"]
    assert usual_baseline(by_arm) == "a-infonce"
