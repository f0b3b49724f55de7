"""The same run without what it drew, as a command."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from confs import compose
from omegaconf import OmegaConf

from hardneg.config.composition import words_off
from hardneg.runs import without_negatives
from hardneg.runs.without_negatives import NothingWithout, words_without


@pytest.fixture
def composed(monkeypatch):
    """Compose as the tests do: no Hydra app runs."""
    monkeypatch.setattr(
        without_negatives, "_composed", lambda words: OmegaConf.to_container(compose(*words), resolve=False)
    )

    def words(*given, drawn):
        return words_without(compose(*given), given, drawn)

    return words


def test_the_other_words_stay(composed):
    words = composed(
        "data=toy", "strategy=mined", "negatives.mined.k=2", "remine.warmup_epochs=1", "seed=3", drawn=["mined"]
    )
    assert words == ["data=toy", "seed=3", "negatives=[in_batch]"]


def test_the_parts_of_a_curriculum_go_with_it(composed):
    pace = [
        "curriculum=custom",
        "curriculum/pace=measured",
        "curriculum.pace.metrics=[val/ndcg@10]",
        "curriculum.pace.above=0.5",
    ]
    words = composed("data=toy", "strategy=easy_to_hard", *pace, drawn=["bm25", "random", "mined"])
    assert words == ["data=toy", "negatives=[in_batch]"]


def test_settings_of_a_recipe_are_taken_away(composed):
    words = composed("data=toy", "experiment=dpr", drawn=["bm25"])
    assert words[:3] == ["data=toy", "experiment=dpr", "negatives=[in_batch]"]
    cfg = compose(*words)
    assert list(cfg.negatives) == ["in_batch"]


def test_it_begins_where_the_run_began_with_the_batch_that_it_had(composed):
    going_on = ["data=toy", "strategy=bm25", "ckpt_path=run/checkpoints/last.ckpt"]
    assert composed(*going_on, drawn=["bm25"]) == ["data=toy", "negatives=[in_batch]"]
    settled = compose("data=toy", "strategy=bm25", "batch_size=32")
    for given in ([], ["batch_size=auto"]):
        words = words_without(settled, ["data=toy", "strategy=bm25", *given], ["bm25"])
        assert words == ["data=toy", "negatives=[in_batch]", "batch_size=32"]


def test_a_name_that_the_run_was_given_is_not_the_other_runs(composed):
    """`hardneg compare` takes runs of one name for one arm."""
    words = composed("data=toy", "strategy=bm25", "strategy_name=best", "run_name=first", drawn=["bm25"])
    assert words == ["data=toy", "negatives=[in_batch]"] and compose(*words).strategy_name == "in_batch"


@pytest.mark.parametrize(("off", "count"), [([], 2), (["split.test=null"], 1)])
def test_without_a_test_there_is_nothing_for_compare(composed, monkeypatch, tmp_path, off, count):
    words = ["data=toy", "strategy=bm25", *off]
    begun = SimpleNamespace(overrides=SimpleNamespace(task=words))
    app = SimpleNamespace(initialized=lambda: True, get=lambda: begun)
    monkeypatch.setattr(without_negatives, "HydraConfig", app)
    monkeypatch.setattr(without_negatives.composition, "config_dir_words", lambda _: [])
    found = without_negatives.commands_without(compose(*words), tmp_path / "run", ["bm25"])
    assert len(found) == count and found[0].endswith(f"hydra.run.dir={tmp_path}/run_without")
    with pytest.raises(NothingWithout, match=r"split\.dev and split\.test are null"):
        without_negatives.commands_without(compose(*words, "split.test=null", "split.dev=null"), tmp_path, ["bm25"])


def test_settings_of_what_is_left_stay(composed):
    words = composed("data=toy", "negatives=[in_batch,bm25]", "negatives.in_batch.hard=false", drawn=["bm25"])
    assert words == ["data=toy", "negatives=[in_batch]", "negatives.in_batch.hard=false"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["negatives=[bm25]"], "the run has no other negatives"),
        (
            ["negatives=[in_batch,bm25]", "loss=[infonce,kl]", "teacher=cross_encoder", "teacher.model=minilm"],
            "loss.kl reads a teacher's scores of them",
        ),
        (["negatives=[in_batch,bm25]", "loss.infonce.sources=[bm25]"], "loss.infonce reads bm25"),
    ],
)
def test_where_there_is_no_run_without_them_it_says_why(composed, given, why):
    with pytest.raises(NothingWithout, match=re.escape(why)):
        composed("data=toy", *given, drawn=["bm25", "mined"])


def test_where_the_other_words_say_nothing_without_them_it_says_why(composed):
    with pytest.raises(NothingWithout, match=r"the remaining words cannot be composed without them .*sead"):
        words_without(compose("data=toy", "strategy=bm25"), ["data=toy", "strategy=bm25", "sead=3"], ["bm25"])


def test_words_of_a_filter_that_their_strategy_chose_go_with_it(composed):
    words = ["data=toy", "strategy=mined_random", "filter.relative_margin.margin=0.1", "loss.infonce.temperature=0.1"]
    assert composed(*words, drawn=["mined", "random"]) == [words[0], words[3], "negatives=[in_batch]"]
    taken_away = ["data=toy", "strategy=mined", "~filter.relative_margin"]
    assert composed(*taken_away, drawn=["mined"]) == ["data=toy", "negatives=[in_batch]"]
    own = ["data=toy", "strategy=mined", "filter=[relative_margin]", "filter.relative_margin.margin=0.1"]
    assert composed(*own, drawn=["mined"]) == [own[0], *own[2:], "negatives=[in_batch]"]


def test_the_teacher_of_what_is_gone_goes_and_that_of_what_is_left_stays(composed):
    gone = ["teacher=bi_encoder", "+encoder@teacher.encoder=static"]
    words = ["data=toy", "negatives=[in_batch,bm25]", *gone]
    assert composed(*words, drawn=["bm25"]) == ["data=toy", "negatives=[in_batch]"]
    live = "+teacher@negatives.in_batch.teacher=bi_encoder"
    own = [live, "+encoder@negatives.in_batch.teacher.encoder=static"]
    assert composed("data=toy", "negatives=[in_batch,bm25]", *own, drawn=["bm25"])[-2:] == own


def test_a_recipes_teacher_is_taken_away_by_words_that_hydra_takes():
    def plain(words):
        return OmegaConf.to_container(compose(*words), resolve=False)

    words = ["data=toy", "experiment=gpl_small"]
    off = words_off("teacher", words, plain)
    assert off == ["~teacher", "~teacher.encoder"]
    assert not plain([*words, *off])["teacher"] and words_off("teacher", ["data=toy"], plain) == []


def test_a_loss_may_learn_from_the_teacher_of_the_batch_that_stays(composed):
    own = ["+teacher@negatives.in_batch.teacher=bi_encoder", "+encoder@negatives.in_batch.teacher.encoder=static"]
    words = composed("data=toy", "negatives=[in_batch,bm25]", "loss=[margin_mse]", *own, drawn=["bm25"])
    assert "loss=[margin_mse]" in words and words[-2:] == own
