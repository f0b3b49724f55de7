"""Filters are warned of, and other encoders know the documents that a step may hold."""

from __future__ import annotations

import pytest
from confs import compose

from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.negatives.blocks import Blocks
from hardneg.negatives.given import Given
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.queue import Queue
from hardneg.negatives.random import Random
from hardneg.training.prepare_negatives import candidates_of, make_filters


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
