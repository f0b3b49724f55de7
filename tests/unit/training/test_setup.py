"""What a run is put together of: losses that are made once, and groups of weights that are there in time."""

from __future__ import annotations

import pytest
from confs import compose
from torch import nn

from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.errors import ConfigError
from hardneg.losses.embed_distill import EmbedDistill
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.given import Given
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.negatives.random import Random
from hardneg.training.setup import Negatives, candidates_of, check_groups, make_filters, make_losses, objective

DISTILLED = ("loss=[infonce,embed_distill]", "+encoder@loss.embed_distill.teacher.encoder=static")


def make():
    return nn.Linear(2, 2)


@pytest.mark.parametrize("group", ["loss: {lr: 1e-3}", "layer: {lr: 1e-3, match: '*projection*'}"])
def test_a_group_may_name_the_projection_that_is_made_once_the_widths_are_known(group):
    losses = {"embed_distill": EmbedDistill()}
    cfg = compose(*DISTILLED, f"optimizer.groups={{{group}}}")
    check_groups(cfg, losses, make)
    assert losses["embed_distill"].projection is None, "the run's own loss was changed"
    with pytest.raises(ConfigError, match="matches no trained weight"):
        check_groups(cfg, {"embed_distill": EmbedDistill(projection=False)}, make)


def test_another_encoder_must_know_what_a_step_may_hold():
    assert candidates_of([InBatch(), Queue(), Blocks()]) == "positives"
    assert candidates_of([InBatch(), Random(k=1)]) == candidates_of([InBatch(), Given(k=1)]) == "all"


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("filter=[relative_margin]", "negatives=[in_batch]"), True),
        (("filter=[]", "negatives=[random,bm25]"), True),
        (("filter=[]", "negatives=[random,given]"), False),  # which leave known positives out themselves
        (("negatives=[in_batch,bm25]",), False),
    ],
)
def test_known_positives_that_may_be_negatives_are_warned_of(caplog, words, warned):
    training = TrainingSet(Toy(docs=120, queries=60, names=12, attributes=6).load())
    make_filters(compose(*words), training)
    assert ("no filter=known_positives" in caplog.text) == warned


def test_the_losses_of_a_run_are_made_once():
    cfg = compose(*DISTILLED)
    losses = make_losses(cfg, Toy(docs=120, queries=60, names=12, attributes=6).load())
    assert list(losses) == ["infonce", "embed_distill"]
    made = objective(cfg, Negatives({}, {}), {}, losses)
    assert all(made.losses[name] is loss for name, loss in losses.items())
