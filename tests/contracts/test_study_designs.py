"""experiments/*/study.yaml: every arm's words compose and pass the checks, and every contrast is one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from confs import compose

from hardneg.errors import UserError
from hardneg.preflight.config import check_config

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.yaml"))


@pytest.fixture
def study_modules(monkeypatch):
    """The driver of the studies, which leaves no trace."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(EXPERIMENTS / "study"))
    monkeypatch.setenv("HARDNEG_WEAKER", "somewhere")
    import contrasts
    import design

    yield design, contrasts
    for name in set(sys.modules) - before:
        if name in ("contrasts", "design", "differ", "kinds", "oracle", "part", "run", "starts", "table", "transfer"):
            del sys.modules[name]


@pytest.mark.parametrize("name", STUDIES)
def test_contrasts_name_arms_and_add_up_to_nothing(study_modules, name, tmp_path):
    """Primary contrasts are of arms that there are, and their weights sum to 0."""
    study = study_modules[0].read(EXPERIMENTS / name, tmp_path)
    assert study.baseline in study.arms
    for said, weights in study.primary.items():
        assert set(weights) <= set(study.arms), said
        assert abs(sum(weights.values())) < 1e-9, said


def test_sets_of_a_start_are_its_own(study_modules, tmp_path):
    """A start that costs more has its own sets; those of the others stay, and all can be named on the command line."""
    design = study_modules[0]
    sets = ["nl2bash", "squad-sent", "medquad", "obliqa"]
    for start, of_start in (("static", sets), ("tuned", [f"{name}-1500-once" for name in sets])):
        study = design.read(EXPERIMENTS / "17_ladder", tmp_path, start)
        assert list(study.sets) == of_start
        for name in sets:
            part = design.job(study, tmp_path, start, f"{name}-1500", "bm25", 2e-5, 1).words
            once = design.job(study, tmp_path, start, f"{name}-1500-once", "bm25", 2e-5, 1).words
            assert [w for w in part if w.startswith("data.path=")][-1] == f"data.path={tmp_path}/{name}-1500"
            further = [word for word in once if word not in part and not word.startswith("hydra.run.dir=")]
            assert further == ["trainer.max_epochs=1", "evaluate.every_n_epochs=1"]


@pytest.mark.parametrize("start", ["trimmed", "tuned"])
def test_starts_compose(study_modules, tmp_path, start):
    """The words of the other starts are keys that there are."""
    design = study_modules[0]
    study = design.read(EXPERIMENTS / "17_ladder", tmp_path, start)
    words = design.job(study, tmp_path, start, study.sets[0], "bm25", 1e-4, 1).words
    check_config(compose(*[word for word in words if not word.startswith("hydra.")], name="train"))


def test_a_part_keeps_all_but_training_queries(study_modules, tmp_path):
    """part.py draws so many training queries with all their positives; dev, test and documents stay."""
    import part

    source, out = tmp_path / "whole", tmp_path / "part"
    (source / "qrels").mkdir(parents=True)
    rows = [f"q{n}\td{n}{half}\t1" for n in range(20) for half in "ab"]
    for name in ("train", "test"):
        (source / "qrels" / f"{name}.tsv").write_text(
            "\n".join(["query-id\tcorpus-id\tscore", *rows, ""]), encoding="utf-8"
        )
    for name in ("corpus", "queries"):
        (source / f"{name}.jsonl").write_text("{}\n", encoding="utf-8")
    part.main(source, out, 5)
    kept = (out / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(kept) == 10 and set(kept) <= set(rows) and len({row.split("\t")[0] for row in kept}) == 5
    assert (out / "qrels" / "test.tsv").read_bytes() == (source / "qrels" / "test.tsv").read_bytes()
    assert (out / "corpus.jsonl").read_text(encoding="utf-8") == "{}\n"


def test_arms_compose(study_modules, tmp_path, monkeypatch):
    """The words of arms are keys that there are; of arms that differ in numbers alone one is looked at."""
    design = study_modules[0]
    monkeypatch.setenv("HARDNEG_TARGETS", "oracle.")
    monkeypatch.syspath_prepend(str(EXPERIMENTS / "18_false_negatives"))
    seen = set()
    for study in (design.read(EXPERIMENTS / name, tmp_path) for name in STUDIES):
        data = next(one for one in study.sets if not one.startswith("toy"))
        for arm, own in study.arms.items():
            kind = frozenset(word.rstrip("0123456789.") for word in own)
            if kind not in seen:
                words = design.job(study, tmp_path, "static", data, arm, 0.01, 1).words
                words = [word for word in words if not word.startswith("hydra.") and "miner.ckpt" not in word]
                check_config(compose(*words, name="train"))
            seen.add(kind)


def test_one_arms_rate_serves_the_others(study_modules, tmp_path, monkeypatch):
    """With --rate-of only that arm tries rates; the others are trained at the one that its dev is best at."""
    import run

    def train(one, keep):
        one.folder.mkdir(parents=True)
        best = 0.5 if "lr0.01-" in one.folder.name else 0.4
        (one.folder / "summary.json").write_text(json.dumps({"dev": {"best": best}}), encoding="utf-8")

    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(run.table, "write", lambda *_: None)
    monkeypatch.setenv("HARDNEG_TARGETS", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = [
        "--sets",
        "nl2bash",
        "--arms",
        "in_batch,never",
        "--rate-of",
        "in_batch",
        "--rates",
        "0.005,0.01",
        "--seeds",
        "1,2",
    ]
    monkeypatch.setattr(
        sys, "argv", ["run.py", str(EXPERIMENTS / "20_refresh"), str(tmp_path), str(tmp_path / "o"), *words]
    )
    run.main()
    runs = sorted(str(file.parent.relative_to(file.parents[2])) for file in tmp_path.rglob("summary.json"))
    tried = [f"in_batch/{name}" for name in ("lr0.005-s1", "lr0.01-s1", "lr0.01-s2")]
    assert runs == [*tried, "never/lr0.01-s1", "never/lr0.01-s2"]


def test_a_run_that_was_interrupted_goes_on(study_modules, tmp_path, monkeypatch):
    """What has begun is resumed, and keeps its weights until it is done."""
    import run

    from hardneg.errors import UserError

    asked = []

    def answer(*words):
        asked.append(words)
        if len(asked) < 3:
            raise UserError("the disk is full")
        (folder / "summary.json").write_text(json.dumps({"dev": {"best": 0.5}}), encoding="utf-8")

    monkeypatch.setattr(run.cli, "run", answer)
    folder = tmp_path / "run"
    job = study_modules[0].Job(folder, ["data=toy"])
    run.train(job, keep=False)
    (folder / "checkpoints").mkdir()
    (folder / "status.json").write_text("{}", encoding="utf-8")
    run.train(job, keep=False)
    assert (folder / "checkpoints").exists()
    run.train(job, keep=False)
    assert asked == [("train", "data=toy"), ("resume", str(folder)), ("resume", str(folder))]
    assert job.done and not (folder / "checkpoints").exists()


def one_set(contrasts, folder, seed):
    """A set with arms a, b and c, three seeds and 50 queries of random results."""
    from hardneg.compare.arms import Arm
    from hardneg.compare.one_run import FinishedRun, PerQuery
    from hardneg.compare.statistics import pooled_seed_variance

    draw, ids = np.random.default_rng(seed), np.arange(50).astype(str)
    arms = {}
    for name in ("a", "b", "c"):
        runs = {}
        for seed in (1, 2, 3):
            values = {"ndcg@10": draw.random(50)}
            summary = {"test": {"after": {"ndcg@10": float(values["ndcg@10"].mean())}}, "data": "d", "seed": seed}
            run = FinishedRun(folder, summary, {})
            run.__dict__["per_query"] = PerQuery(ids, values)
            runs[seed] = run
        arms[name] = Arm(name, runs)
    means = np.array([arm.means("ndcg@10") for arm in arms.values()])
    return contrasts.OneSet("d", arms, {}, np.arange(50), pooled_seed_variance(means))


def test_a_difference_of_two_arms_is_that_of_compare(study_modules, tmp_path):
    """The contrast a - b is `hardneg compare`'s difference of a to the baseline b."""
    from hardneg.compare.contrasts import ComparisonPlan, compare

    contrasts = study_modules[1]
    one = one_set(contrasts, tmp_path, 0)
    arms = one.arms
    ours = contrasts.test(one, {"a": 1, "b": -1}, "ndcg@10")
    theirs = compare("d", arms, ComparisonPlan("ndcg@10", baseline="b")).contrasts["a"].difference
    assert ours.mean == pytest.approx(theirs.mean)
    assert ours.error == pytest.approx(theirs.error)
    assert ours.freedom == pytest.approx(theirs.freedom)
    double = contrasts.test(one, {"a": 2, "b": -2}, "ndcg@10")
    assert double.error == pytest.approx(2 * ours.error)


def test_an_arm_without_its_first_seed_is_named(study_modules, tmp_path, monkeypatch):
    """Other seeds alone, as run.py --seeds trains them, do not tell which learning rate is the arm's."""
    from types import SimpleNamespace

    design, contrasts = study_modules[:2]
    study = design.read(EXPERIMENTS / "17_ladder", tmp_path)
    data = next(iter(study.sets))
    arm = design.home(study, tmp_path, "static", data) / next(iter(study.arms))
    (arm / "run").mkdir(parents=True)
    (arm / "run" / "summary.json").touch()
    run = SimpleNamespace(seed=study.seeds[0] + 1, config={"optimizer.lr": 0.01})
    monkeypatch.setattr(contrasts, "find", lambda folders: SimpleNamespace(runs=[run]))
    with pytest.raises(UserError, match=f"no run of seed {study.seeds[0]} is finished, the study's first"):
        contrasts.load(study, tmp_path, "static", data)


def test_starts_differ_in_a_contrast_by_the_difference_of_differences(study_modules, tmp_path, monkeypatch):
    """(a - b) from one start less (a - b) from another, paired by query, with what seeds do to both."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS / "17_ladder"))
    import starts

    contrasts, weights = study_modules[1], {"a": 1, "b": -1}
    first, second = (one_set(contrasts, tmp_path, seed) for seed in (0, 1))
    found = starts.between(first, second, weights, "ndcg@10")
    each = [contrasts.test(one, weights, "ndcg@10") for one in (first, second)]
    assert found.mean == pytest.approx(each[0].mean - each[1].mean)
    pooled = starts.spread(first, second, weights)
    assert pooled.value == pytest.approx(first.spread.value + second.spread.value)
    assert 4 <= pooled.freedom <= 8  # each start has 4
    assert starts.spread(first, second, {"a": 2, "b": -2}).value == pytest.approx(4 * pooled.value)
    assert starts.between(first, second, {"a": 1, "missing": -1}, "ndcg@10") is None


def test_sets_that_differ_are_told_from_sets_that_do_not(study_modules, monkeypatch):
    """Cochran's Q and I squared, against the values of the formula written out."""
    from hardneg.compare.statistics import Components, Difference

    monkeypatch.syspath_prepend(str(EXPERIMENTS / "21_domains"))
    import differ

    found = [
        Difference(m, e, 100.0, 3, 99, Components(0.0, 0.0, 0.0)) for m, e in ((0.0, 0.01), (0.02, 0.01), (0.07, 0.02))
    ]
    q, p, share = differ.heterogeneity(found)
    middle = (0.0 / 1 + 0.02 / 1 + 0.07 / 4) / (1 + 1 + 1 / 4)
    by_hand = middle**2 / 1e-4 + (0.02 - middle) ** 2 / 1e-4 + (0.07 - middle) ** 2 / 4e-4
    assert q == pytest.approx(by_hand) and share == pytest.approx(1 - 2 / by_hand)
    assert p == pytest.approx(np.exp(-by_hand / 2))  # chi-square with two degrees of freedom
    assert differ.heterogeneity([found[0]] * 3) == (0.0, 1.0, 0.0)


def test_a_choice_of_another_set_costs_what_its_arm_loses(study_modules, tmp_path, monkeypatch):
    """A cell is the arm less the set's own choice, the mean leaves the row's own set out."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS / "21_domains"))
    from dataclasses import replace

    import table
    import transfer

    contrasts = study_modules[1]
    sets = [replace(one_set(contrasts, tmp_path, seed), data=name) for seed, name in enumerate(("x", "y"))]
    lines = transfer.costs(
        sets, [("x", "a", "a", "x"), ("y", "b", "b", "y")], {"x": "a", "y": "b"}, "ndcg@10"
    ).splitlines()
    lost = contrasts.test(sets[1], {"a": 1, "b": -1}, "ndcg@10")
    assert lines[0] == "| chosen by dev of | setting | x | y | mean |"
    assert lines[2].startswith(f"| x | a | own choice | {table.points(lost)} | {100 * lost.mean:+.2f} [")
    alone = transfer.costs(sets, [("", "a", "a", "")], {"x": "a", "y": "a"}, "ndcg@10").splitlines()
    assert alone[2] == "| a | own choice | own choice | 0 |"


@pytest.mark.parametrize(
    ("query", "positive", "negative", "answers", "said"),
    [
        ("list all files", "ls -a", "ls  -A", [], "as good as the positive"),
        ("list all files here", "ls -a", "find -type f", ["list all the files"], "answers a near-duplicate query"),
        ("list all files here", "ls -a", "find -type f", ["remove a user"], "other"),
        (
            "count lines",
            "find old file type name size",
            "find old file type name size one two three four five six seven eight nine ten",
            [],
            "holds the positive, or is held",
        ),
        ("count lines", "wc -l input file", "wc -l input thing", [], "near the positive"),
        ("print file names", "echo *", "print names", [], "shares more with the query"),
        ("print the names of every old file", "echo names", "print it", [], "shares words with the query"),
        ("print names", "echo *", "kill one", [], "other"),
    ],
)
def test_kinds_of_negatives_go_by_words(monkeypatch, study_modules, query, positive, negative, answers, said):
    """Each rule of 21_domains/kinds.py, and their order."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS / "21_domains"))
    import kinds

    words = kinds.words
    case = kinds.Case(words(query), [words(positive)], words(negative), [words(one) for one in answers])
    assert kinds.kind(case) == said
    assert set(kinds.SAID) == set(kinds.RULES)


@pytest.mark.parametrize(
    ("mean", "p_holm", "said"),
    [
        (0.004, 0.001, "not worse by the margin"),
        (0.02, 0.001, "not worse by the margin; better"),
        (-0.004, 0.01, "not worse by the margin; worse within it"),
        (-0.006, 0.06, "not worse by the margin, but not after correction; worse within it"),
        (-0.008, 0.3, "not resolved; worse"),
        (-0.02, 1.0, "worse by more than the margin"),
    ],
)
def test_non_inferiority_goes_by_the_margin(study_modules, mean, p_holm, said):
    """The verdicts at a margin of a point, for an error of .2 points (but .3 where nothing is known of the sign)."""
    from hardneg.compare.statistics import Components, Difference

    error = 0.003 if mean == 0.004 else 0.002
    difference = Difference(mean, error, 1000.0, 3, 1000, Components(0.0, 0.0, 0.0))
    assert study_modules[1].Contrast("a - b", "d", difference, p_holm, noninferior=True).verdict(0.01) == said


def test_every_study_is_named_where_what_is_measured_is_listed():
    listed = (EXPERIMENTS.parent / "docs" / "evidence.md").read_text(encoding="utf-8")
    summary = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
    for study in sorted(folder.name for folder in EXPERIMENTS.glob("[0-9][0-9]_*")):
        assert f"(../experiments/{study})" in listed and f"({study})" in summary, study
