"""What is said of drawn negatives when a run ends."""

from __future__ import annotations

import logging

import lightning as L
import pytest
from omegaconf import OmegaConf
from standin_trainer import Trainer

from hardneg.mining.alarm_rules import Thresholds
from hardneg.mining.bm25 import BM25
from hardneg.negatives.random import Random
from hardneg.negatives.stored import Stored
from hardneg.runs import status
from hardneg.runs.without_negatives import NothingWithout
from hardneg.training.callbacks import judge_negatives
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.judge_negatives import JudgeNegatives, judged

CFG = OmegaConf.create({"split": {"dev": "dev", "test": "test"}})


class Curve(Evaluate):
    """A dev curve, without what draws one."""

    def __init__(self, history):
        self.best, self.history = "ndcg@10", list(history)


class Late(Random):
    """A source that has nothing to draw from at first."""

    store = None


def trained(steps, history=(), source=None):
    """A callback after steps with these (loss of random, loss of in_batch, share above the positive)."""
    source = source or Random(k=1)
    judge = JudgeNegatives(["random", "in_batch"], {"random": source}, Curve(history), Thresholds())
    trainer = Trainer([judge])
    go_on(judge, trainer, steps)
    return judge, trainer


def go_on(judge, trainer, steps):
    for mine, others, above in steps:
        judge.on_train_batch_start(trainer, L.LightningModule())
        trainer.global_step += 1
        trainer.callback_metrics = {"negatives/random/loss": mine, "negatives/in_batch/loss": others}
        if mine is not None:
            trainer.callback_metrics |= {"negatives/random/above_positive": above, "negatives/random/margin": 0.2}
        judge.on_train_batch_end(trainer, L.LightningModule())


def test_the_last_third_counts():
    judge, trainer = trained([(9.0, 1.0, 0.9)] * 6 + [(0.5, 1.5, 0.1)] * 3)
    assert judge.numbers() == {"random": pytest.approx({"loss_share": 0.25, "above_positive": 0.1, "margin": 0.2})}
    assert judged(trainer) == judge.numbers()


def test_a_step_counts_once_however_many_batches_make_it():
    judge, trainer = trained([])
    for _ in range(9):
        trainer.accumulates = True
        judge.on_train_batch_end(trainer, L.LightningModule())
        trainer.accumulates = False
        go_on(judge, trainer, [(1.0, 1.0, 0.0)])
    assert [len(values) for values in judge.seen["random"].values()] == [9, 9, 9]


TOO_FEW = "random: too few steps with its negatives were logged to judge them ({} of at least 9); {}"


@pytest.mark.parametrize(
    ("before", "steps", "every", "told"),
    [
        (0, 8, 1, TOO_FEW.format(8, "train longer")),
        (0, 44, 5, TOO_FEW.format(8, "trainer.log_every_n_steps=1 logs every step")),
        (0, 7, 5, TOO_FEW.format(1, "train longer")),
        (30, 7, 5, TOO_FEW.format(1, "train longer")),
        (30, 9, 5, TOO_FEW.format(1, "trainer.log_every_n_steps=1 logs every step")),
        (9, 0, 1, TOO_FEW.format(0, "train longer")),
        (0, 20, 0, "random: trainer.log_every_n_steps=0 logs no step, so that its negatives are not judged"),
    ],
)
def test_a_few_steps_say_only_what_would_make_them_enough(tmp_path, caplog, before, steps, every, told):
    caplog.set_level(logging.INFO)
    source = Late(k=1)
    judge, trainer = trained([], source=source)
    trainer.log_every_n_steps = every
    go_on(judge, trainer, [(None, 1.0, None)] * before)
    source.store = "mined"
    go_on(judge, trainer, [(1.0, 1.0, 0.0)] * steps)
    assert judge.numbers() == {} == judged(trainer)
    judge.tell(trainer, CFG, tmp_path)
    assert caplog.messages == [told]


def test_idle_and_suspected_negatives_are_told_with_what_would_measure_them(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(judge_negatives, "commands_without", lambda *_: ["hardneg train x", "hardneg compare a b"])
    judge, trainer = trained([(0.01, 1.0, 0.5)] * 9)
    judge.tell(trainer, CFG, tmp_path)
    assert "random: 1% of the loss, 50% of its negatives above their positive" in caplog.text
    assert "ALARM random: its negatives were idle" in caplog.text
    assert "(this seed), train the same run without it:\n  hardneg train x\n  hardneg compare a b" in caplog.text
    assert trainer.loggers[0].logged == {"alarms/random/idle": 1.0, "alarms/random/above_positive": 1.0}


def test_what_it_says_goes_by_the_splits_and_a_race_compares_its_arms_itself(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(judge_negatives, "commands_without", lambda *_: ["hardneg train x"])
    judge, trainer = trained([(1.0, 1.0, 0.0)] * 9)
    judge.tell(trainer, OmegaConf.create({"split": {"dev": "dev", "test": None}}), tmp_path)
    assert caplog.messages[-1].startswith("to see what random did for dev (this seed), train the same run without it:")
    caplog.clear()
    status.write(tmp_path, state="running", race={})
    judge.tell(trainer, CFG, tmp_path)
    assert "random: 50% of the loss" in caplog.text and "hardneg train" not in caplog.text


def test_the_run_without_them_is_without_those_that_were_not_judged_too(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(judge_negatives, "commands_without", lambda *_: ["hardneg train x"])
    drawn = {"random": Random(k=1), "late": Late(k=1)}
    judge = JudgeNegatives([*drawn, "in_batch"], drawn, Curve([]), Thresholds())
    trainer = Trainer([judge])
    go_on(judge, trainer, [(1.0, 1.0, 0.0)] * 9)
    judge.tell(trainer, CFG, tmp_path)
    assert list(judge.numbers()) == ["random"]
    assert "what random, late did for dev and test (this seed), train the same run without them:" in caplog.text


def test_a_source_that_comes_late_is_judged_by_dev_before_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(judge_negatives, "commands_without", lambda *_: [])
    source = Late(k=1)
    history = [{"step": step, "val/ndcg@10": value} for step, value in ((0, 0.1), (1, 0.6), (12, 0.5))]
    judge, trainer = trained([(None, 1.0, None)], history, source)
    source.store = "mined"
    go_on(judge, trainer, [(1.0, 1.0, 0.0)] * 12)
    assert judge.first == {"random": 1}
    judge.tell(trainer, CFG, tmp_path)
    assert "val/ndcg@10 was best, 0.6000, at step 1, before the first of these negatives" in caplog.text
    assert "whether" not in caplog.text


@pytest.mark.parametrize(("sampling", "advised"), [("uniform", True), ("top", False)])
def test_what_a_source_does_already_is_not_advised(tmp_path, caplog, monkeypatch, sampling, advised):
    monkeypatch.setattr(judge_negatives, "commands_without", lambda *_: [])
    source = Stored(1, BM25(), sampling=sampling)
    source.store = "mined"
    judge, trainer = trained([(0.01, 1.0, 0.0)] * 9, source=source)
    judge.tell(trainer, CFG, tmp_path)
    assert "were idle" in caplog.text and ("(negatives.random.sampling=top)" in caplog.text) == advised


def test_where_there_is_no_run_without_them_that_is_said(tmp_path, caplog, monkeypatch):
    def none(*_):
        raise NothingWithout("loss.kl reads random")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(judge_negatives, "commands_without", none)
    judge, trainer = trained([(1.0, 1.0, 0.0)] * 9)
    judge.tell(trainer, CFG, tmp_path)
    told = "no run without random can tell what these negatives did for dev and test: loss.kl reads random"
    assert told in caplog.messages


def test_a_resumed_run_knows_what_was_seen():
    judge, _ = trained([(1.0, 1.0, 0.0)] * 9)
    again, _ = trained([])
    again.load_state_dict(judge.state_dict())
    assert again.numbers() == judge.numbers() and again.first == {"random": 0}
