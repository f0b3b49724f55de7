"""Drawn negatives and positives are scored by one teacher, whatever a loss reads."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from confs import compose

from hardneg.errors import ConfigError
from hardneg.negatives.base import Draw, OfflineSource
from hardneg.negatives.mixture import Mixture
from hardneg.preflight.config import check_config


class Scored(OfflineSource):
    """Draws document 7, and scores every pair alike."""

    has_teacher = True

    def __init__(self, score):
        super().__init__(1)
        self.score = score

    def draw(self, query, rng):
        return Draw(np.array([7], np.int32), np.array([self.score], np.float32))

    def positive_teacher(self, query, which):
        return self.score


@pytest.fixture
def teachers(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("query-id,corpus-id,score\n")
    file = "{_target_: hardneg.teachers.file.FileTeacher, path: %s}"
    return [file % (tmp_path / f"{name}.csv") for name in ("one", "two")]


def test_a_positive_has_the_first_teachers_score():
    mixture = Mixture({"a": Scored(0.5), "b": Scored(9.0)}, ("positive", "a", "b"), seed=0)
    _, _, of_negatives = mixture.draw(0, 0)
    assert of_negatives.tolist() == [0.5, 9.0]
    assert mixture.positive_teachers(np.array([0]), np.array([[0]])).item() == 0.5


def test_a_loss_that_reads_negatives_of_another_teacher_is_refused(teachers):
    words = [
        "data=toy",
        "negatives=[in_batch,bm25,mined]",
        *map("negatives.{}.teacher={}".format, ("bm25", "mined"), teachers),
    ]
    apart = ["loss=[infonce,margin_mse]", "loss.margin_mse.sources=[mined]"]
    for loss in (["loss=kl"], ["loss=[infonce,margin_mse]"], apart):
        with pytest.raises(ConfigError, match=re.escape("positives have those of negatives.bm25.teacher, another one")):
            check_config(compose(*words, *loss))
    check_config(compose(*words, "loss=infonce"))
    check_config(compose(*words, "loss=[infonce,kl]", "loss.kl.sources=[bm25]"))
    same = [*words[:2], *(f"negatives.{name}.teacher={teachers[0]}" for name in ("bm25", "mined"))]
    check_config(compose(*same, "loss=kl"))


def test_a_cross_encoder_learns_from_one_teacher_too(teachers, tmp_path):
    torch.save({"optimizer_states": []}, tmp_path / "last.ckpt")
    words = ["data=toy", "negatives=[bm25,mined]", f"negatives.mined.miner.ckpt_path={tmp_path}/last.ckpt"]
    words += ["+loss@loss.kl=kl", *map("negatives.{}.teacher={}".format, ("bm25", "mined"), teachers)]
    with pytest.raises(ConfigError, match="another one, on a scale of its own"):
        check_config(compose(*words, name="train_teacher"))
