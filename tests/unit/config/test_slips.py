"""A word with a slip in it is answered with what was probably meant."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_module
from hydra.errors import HydraException

from hardneg.config import composition
from hardneg.config.slips import in_plain_words, no_option


def answer(*words, command="train"):
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"), pytest.raises(HydraException) as raised:
        compose(command, list(words))
    return in_plain_words(raised.value, command)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["strategey=bm25"], "there is no key strategey; did you mean strategy? The config has alarms"),
        (["experimnt=bge"], "did you mean experiment?"),
        (["btch_size=3"], "did you mean batch_size?"),
        (
            ["strategy=bm52"],
            "Could not find 'strategy/bm52'; did you mean bm25? Available options",
        ),
        (["loss=[infonce,triplett]"], "Could not find 'loss/triplett'; did you mean triplet?"),
        (["negatives.bm25.k=4"], "bm25 is not chosen; choose it, as in negatives=[in_batch,bm25]"),
        (["negatives=[in_batch,random]", "negatives.bm25.k=4"], "as in negatives=[in_batch,random,bm25]"),
        (["filter.relative_margin.margin=1"], "as in filter=[known_positives,relative_margin]"),
        (
            ["negatives.bm52.k=4"],
            "there is no key negatives.bm52; did you mean negatives.bm25? bm25 is not chosen; choose it, as in"
            " negatives=[in_batch,bm25]. negatives has in_batch",
        ),
        (["negatives=[bm25]", "negatives.bm52.k=4"], "did you mean negatives.bm25? negatives has bm25"),
        (["teacher.batch_size=8"], "no teacher is chosen; choose one, as in teacher="),
        (["curriculum.steps=8"], "no curriculum is chosen; choose one, as in curriculum="),
        (["data=toy", "data.path=x"], "there is no key data.path, which is a setting of data=beir"),
        (["optimizer.lrr=1"], "did you mean optimizer.lr?"),
        (["negatives=[mined]", "negatives.mined.swap.every=9"], "did you mean negatives.mined.swap.every_n_steps?"),
        (["bm25"], "bm25: arguments have the form KEY=VALUE"),
        (["data.path=a=b"], "quote values that contain"),
        (["data.path=Büro"], "letters beyond a to z, as in \"data.path='Büro'\""),
        (["data.columns={query: größe}"], "letters beyond a to z, as in 'data.path=\"a=b\"'"),
        (["experiment=rocketqa_small"], "hardneg stages rocketqa_small"),
    ],
)
def test_what_was_meant(words, says):
    assert says in answer(*words)


def test_a_group_that_the_command_does_not_have_is_not_suggested():
    said = answer("strategy=bm25", command="evaluate")
    assert said.startswith("there is no group strategy. The groups are data") and said.count("strategy") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed=3", "batches=1.5"], "batches=1.5: 1.5 is not an option of batches; its options are topics"),
        (["search=true"], "search=true: true is not an option of search; its options are"),
        (["seed=3", "callbacks=null"], "callbacks=null: write an empty list as 'callbacks=[]'"),
        (["encoder=null"], "encoder=null: null is not an option of encoder; its options are "),
        (["teacher=null"], "teacher=null: null is not an option of teacher; its options are bi_encoder"),
        (["data=7"], "data=7: 7 is not an option of data; its options are beir"),
    ],
)
def test_a_number_is_no_option_of_a_group(words, says):
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"), pytest.raises(ValueError) as raised:
        compose("train", words)
    assert no_option(words, str(raised.value)).startswith(says)


@pytest.mark.parametrize(
    ("word", "ends"), [("teacher=null", True), ("curriculum=null", False), ("encoder=null", False)]
)
def test_how_to_leave_a_group_out_that_may_be_left_out(word, ends):
    said = no_option([word], "Config group override value type must be string or list, got NoneType")
    assert said.endswith(f"; for none, write ~{word.removesuffix('=null')}") is ends and "[]" not in said
