"""hardneg race with runs that only pretend to train: who stops, who wins, what goes on, and what is said."""

from __future__ import annotations

import json
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from omegaconf import OmegaConf

from hardneg.race.decide import Rules
from hardneg.race.executor import Executor, Work
from hardneg.runs import rungs, status

optuna = pytest.importorskip("optuna")
YAML = """# @package hydra.sweeper.arms
in_batch: [strategy=in_batch]
bm25: [strategy=bm25]
random: [strategy=random]
"""
WORDS = ["data=toy", "race=three", "rungs=2", "seeds=2", "budget=1h", "hydra.sweep.dir=here", "logger=csv"]
EASY = np.random.default_rng(0).random(200) * 0.4


class Pretended:
    """Stands in for the launching of runs: writes what a run of so good an arm would leave."""

    def __init__(self, effects, fails=(), stop_after=None, alike=None):
        self.alike = alike  # an arm whose run comes to the baseline's
        self.effects, self.fails, self.stop_after = effects, fails, stop_after
        self.launched = []

    def __call__(self, jobs):
        for job in jobs:
            given = dict(word.lstrip("+").split("=", 1) for word in job.overrides)
            place = given["hydra.sweep.subdir"]
            if self.stop_after == len(self.launched):
                raise KeyboardInterrupt
            self.launched.append(place)
            self.run(job.folder, place.split("/")[1].split("-s")[0], given)

    def run(self, folder, arm, given):
        part, steps = rungs.part_of(folder), int(given["trainer.max_steps"])
        if arm in self.fails or folder.name in self.fails:
            status.write(folder, state="failed", error="out of memory")
        elif part.seconds:
            same = {"identity": "as in_batch"} if arm in ("in_batch", self.alike) else {}
            status.write(folder, **same, state="paused", timing={"step": 0.5, "evaluation": 1.0, "start": 1.0})
        else:
            rng = np.random.default_rng(zlib.crc32(folder.name.encode()))
            for step in range(int(given["evaluate.every_n_steps"]), (part.until or steps) + 1, steps // 2):
                values = np.clip(EASY + self.effects.get(arm, 0) + 0.05 * rng.normal(size=200), 0, 1)
                rungs.note(folder, np.arange(200), values, step, float(values.mean()))
            status.write(folder, state="paused" if part.until else "done")
            tested = {"BM25": {"ndcg@10": 0.4}, "before": {"ndcg@10": 0.1}, "after": {"ndcg@10": float(values.mean())}}
            told = {"strategy": arm, "loss": "infonce", "seed": int(given.get("seed", 1)), "data": "toy"}
            drawn = {} if arm == "in_batch" else {arm: {"loss_share": 0.25, "above_positive": 0.5, "margin": 0.0}}
            (folder / "summary.json").write_text(json.dumps({**told, "negatives": drawn, "test": tested}))


@pytest.fixture
def racing(hardneg, tmp_path, monkeypatch):
    """Race three arms; returns what was said, the summary and what was launched."""
    (tmp_path / "own" / "race").mkdir(parents=True)
    (tmp_path / "own" / "race" / "three.yaml").write_text(YAML)

    def run(*words, code=0, **world):
        pretended = Pretended(**world)
        monkeypatch.setattr(Executor, "_launch", lambda executor, jobs: pretended(jobs))
        said = hardneg("race", "--config-dir", "own", *WORDS, *words, code=code)
        written = tmp_path / "here" / "summary.json"
        return said, json.loads(written.read_text()) if written.exists() else None, pretended.launched

    return run


@pytest.mark.draws
def test_a_better_arm_wins_a_worse_one_stops_and_all_goes_on_where_it_was(racing, tmp_path):
    effects = {"bm25": 0.2, "random": -0.3}
    said, _, first = racing(effects=effects, stop_after=5, code=130)
    assert "to resume, run the same command with hydra.sweep.dir=here" in said.stderr
    assert first == ["time/in_batch", "time/bm25", "time/random", "arms/in_batch", "arms/bm25"]
    said, summary, then = racing(effects=effects)
    assert then == ["arms/random", "arms/in_batch", "arms/bm25", *(f"end/{a}-s{s}" for a, s in QUEUE)]
    assert (summary["winner"], summary["take"], summary["runner_up"]) == ("bm25", "bm25", "random")
    assert summary["looks"][0]["worse"] == ["random"] and "worse, stopped: random (p " in said.stderr
    assert "Stopped as worse than the best of their rung: random." in summary["why"]
    assert "\nbm25: 25% of the loss, 50% of its negatives above their positive" in said.stderr
    assert "bm25: bm25:" not in said.stderr, "an arm that is named as its source"
    assert summary["arms"]["bm25"]["negatives"]["bm25"]["loss_share"] == 0.25
    assert "differs from the baseline also" not in said.stdout, "a length or a batch of its own is what an arm is"
    assert summary["arms"]["random"]["state"] == "pruned"
    assert status.read(tmp_path / "here/arms/random")["state"] == "pruned"
    assert "Winner: bm25, dev ndcg@10 +0." in said.stderr
    own = f"hardneg train --config-dir {tmp_path}/own data=toy"
    assert summary["command"].startswith(f"{own} logger=csv strategy=bm25 trainer.max_steps=")
    assert list(summary["test"]) == ["BM25", "untrained start", "bm25", "in_batch", "random"]
    assert all((tmp_path / "here" / name).exists() for name in ("race.png", "compare.md", "study.log"))
    by = "he verdict goes by dev ndcg@10 of the 2 new seeds that both bm25 and in_batch were trained on"
    assert f"t{by}" in said.stderr and f"\nT{by}" in (tmp_path / "here" / "compare.md").read_text()
    (trial,) = (one for one in study(tmp_path).get_trials() if one.user_attrs["arm"] == "random")
    assert trial.state.name == "PRUNED" and list(trial.intermediate_values) == [1]
    assert racing(effects=effects)[2] == [], "a finished race only says what it came to"
    refused = racing("alpha=0.1", effects=effects, code=2)[0]
    assert "holds a race that was started with alpha=0.05 (now 0.1)" in refused.stderr


QUEUE = [("bm25", 2), ("in_batch", 2), ("bm25", 3), ("in_batch", 3), ("random", 2), ("random", 3)]


def study(folder):
    from hardneg.runs.study import open_study

    facts = {"storage": None, "study": None, "sampler": "random", "seed": 1, "pruner": "none"}
    return open_study(facts, folder / "here")


def test_of_equal_arms_the_baseline_is_taken_and_an_arm_that_fails_is_out(racing):
    said, summary, launched = racing(effects={}, fails=("random",))
    assert "random failed and is out of the race: out of memory" in said.stderr and "arms/random" not in launched
    assert summary["winner"] is None and summary["take"] == "in_batch"
    assert "No winner: " in summary["why"] and "Take in_batch, the simplest" in summary["why"]
    assert "strategy=in_batch" in summary["command"] and summary["arms"]["random"]["error"] == "out of memory"


def test_a_run_at_the_end_that_must_not_be_is_reported_when_it_fails_and_the_race_has_its_report(racing):
    effects = {"bm25": 0.2, "random": -0.3}
    said, _, _ = racing(effects=effects, fails=("bm25-s2",), code=1)
    assert "bm25-s2 failed: out of memory" in said.stderr, "without it there is nothing to say"
    said, summary, _ = racing(effects=effects, fails=("random-s2", "bm25-s3"))
    assert "random-s2 failed, and the race is judged without it: out of memory" in said.stderr
    assert summary["failed_at_the_end"] == {"random-s2": "out of memory", "bm25-s3": "out of memory"}
    assert summary["take"] == "bm25" and "No winner yet" in summary["why"]
    assert {arm: list(by_seed) for arm, by_seed in summary["dev_at_the_end"].items()} == {
        **{"bm25": ["2"], "in_batch": ["2"]},
    }, "the others of seed 3 would have nothing to be compared with"
    again = ["end/bm25-s3", "end/random-s2"]
    assert racing(effects=effects, fails=("random-s2", "bm25-s3"))[2] == again, "it is asked for once more"
    _, summary, launched = racing(effects=effects)
    assert launched == ["end/bm25-s3", "end/in_batch-s3", "end/random-s2", "end/random-s3"]
    assert summary["failed_at_the_end"] == {}


def test_an_arm_that_comes_to_the_run_of_another_is_timed_only(racing):
    alike = "+hydra.sweeper.arms.alike=['strategy=in_batch','encoder.batch_size=512']"
    said, summary, launched = racing(alike, effects={}, alike="alike", stop_after=5, code=130)
    assert "alike is left out: on these data and this machine its run is that of in_batch" in said.stderr
    assert "time/alike" in launched and "arms/alike" not in launched
    said, summary, launched = racing(alike, effects={}, alike="alike")
    assert "time/alike" not in launched and summary["arms"]["alike"]["same_as"] == "in_batch"
    assert summary["looks"][0]["level"] == pytest.approx(0.05 / 3 / 3), "of three arms at the first of two looks"


def test_a_race_of_one_run_is_refused(racing):
    said, _, launched = racing("hydra.sweeper.arms.random=null", effects={}, alike="bm25", code=2)
    assert "all arms come to the same run as in_batch" in said.stderr
    assert launched == ["time/in_batch", "time/bm25"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("loss.infonce.temprature=0.1", "there is no key loss.infonce.temprature; did you mean"),
        ("batch_size=0", "batch_size=0"),
    ],
)
def test_what_is_wrong_in_an_arm_is_told_of_that_arm(words, says, racing):
    said, _, launched = racing(f"+hydra.sweeper.arms.odd=['strategy=bm25','{words}']", effects={}, code=2)
    assert f"arm odd: {says}" in said.stderr and not launched


def test_without_its_baseline_there_is_no_race(racing):
    assert "in_batch, the baseline, failed: out of memory" in racing(effects={}, fails=("in_batch",), code=1)[0].stderr


def test_a_budget_that_is_too_small_is_told_after_the_first_arm_and_may_be_raised(racing, tmp_path):
    said, _, launched = racing("budget=30s", effects={}, code=2)
    assert "this race needs " in said.stderr and launched == ["time/in_batch"]
    launched = racing("budget=1h", "rungs=1", effects={})[2]
    assert "time/in_batch" not in launched and "arms/in_batch" in launched, "what was timed stays; the rest is open"
    assert "started with budget=1h (now 2h)" in racing("budget=2h", effects={}, code=2)[0].stderr
    hydra = OmegaConf.load(tmp_path / "here" / "multirun.yaml").hydra
    assert "hydra.sweeper.budget=1h" in hydra.overrides.hydra, "what hardneg resume prints is the race's own command"


def test_two_processes_share_the_work_and_each_does_a_run_once(tmp_path, monkeypatch):
    done, twice = [], []
    config = OmegaConf.create({"hydra": {"launcher": {"n_jobs": 2}, "overrides": {"hydra": []}}})
    works = [Work(f"w{number}", "a", (), {}) for number in range(20)]

    def launched(self, mine):
        twice.extend(one for one in mine if one.name in done)
        return [(one, "job", 0.0) for one in mine]

    monkeypatch.setattr(Executor, "_launched", launched)
    monkeypatch.setattr("hardneg.race.executor.PAUSE", 0.01)

    def work(_):
        executor = Executor(config, BasicLauncher(), tmp_path)
        executor.work_off(lambda: [w for w in works if w.name not in done], lambda w, job, seconds: done.append(w.name))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert sorted(done) == sorted(w.name for w in works) and not twice
    assert Rules(3).most(1) == 2
