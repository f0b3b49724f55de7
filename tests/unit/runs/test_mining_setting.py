"""What mining on its own is set up with."""

from __future__ import annotations

import json

import pytest
from confs import compose
from omegaconf import OmegaConf

from hardneg.config import classes
from hardneg.filters.duplicates import Duplicates
from hardneg.filters.guide import Guide
from hardneg.filters.hardest import Hardest
from hardneg.filters.in_batch_margin import InBatchMargin
from hardneg.runs.mining_setting import open_setting, stored_sources, warn_of_live
from hardneg.teachers.encoder_choice import EncoderChoice
from hardneg.testing.synthetic import make_candidates

MEND = "filter.rule.at=mined has it judge these"


def test_a_filter_of_live_batches_alone_is_warned_of_once(tmp_path, caplog):
    words = ("data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "negatives=[bm25]")
    filters = "filter=[known_positives,in_batch_margin,same_set,duplicates]"
    cfg = OmegaConf.merge(compose(*words, filters, name="mine"), {"cache": str(tmp_path)})
    open_setting(cfg, {})
    (told,) = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert told.startswith("filter=in_batch_margin does nothing here: it judges live batches alone")
    assert told.endswith("there are only mined lists")


def test_lists_that_known_positives_may_be_in_are_warned_of(tmp_path, caplog):
    words = ("data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "negatives=[bm25]")
    for filters in ("filter=[]", "filter=[duplicates]"):
        caplog.clear()
        open_setting(OmegaConf.merge(compose(*words, filters, name="mine"), {"cache": str(tmp_path)}), {})
        (told,) = (record.message for record in caplog.records if record.levelname == "WARNING")
        assert told.startswith("no filter=known_positives: documents that are labelled relevant to a query may be its")


@pytest.mark.parametrize("rule", [Duplicates("live"), Guide(), Hardest()])
def test_a_rule_of_all_candidates_may_judge_mined_lists_instead(caplog, rule):
    warn_of_live({"rule": rule})
    assert caplog.messages[0].endswith(f"there are only mined lists; {MEND}")


@pytest.mark.parametrize("rule", [InBatchMargin(), Guide(sources=["in_batch"]), Hardest(sources=["bm25"])])
def test_a_rule_of_some_sources_is_not_advised_to(caplog, rule):
    warn_of_live({"rule": rule})
    assert caplog.messages[0].endswith("there are only mined lists")


@pytest.mark.parametrize("rule", [InBatchMargin(at="mined"), Hardest(1, ["bm25"], at="mined")])
def test_as_it_would_judge_nothing_there(rule):
    listed = make_candidates([[0.1, 0.9, 0.8]], source=[[0, 1, 1]], names=("positive", "mined"))
    assert rule(listed, listed.ids[:, :1]).all()


def test_the_encoder_that_stands_for_the_model_in_training_reads_the_datas_prompts(tmp_path):
    """A miner's `encoder` is another one, with prompts of its own."""
    rows = [{"query": f"q{n}", "positive": f"some text {n}", "prompt": "Find: "} for n in range(12)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    cfg = compose("data=jsonl", f"data.path={tmp_path}", "encoder=static", "negatives=[mined]", name="mine")
    cfg = OmegaConf.merge(cfg, {"cache": str(tmp_path / "cache")})
    setting = open_setting(cfg, stored_sources(cfg))
    assert setting.model is not None
    choice = EncoderChoice(None, classes.build(cfg.encoder), who="a test")
    other = choice.model(setting.training.data, setting.cache, "cpu")
    prompt = len(other.tokenizer.encode("Find: ").ids)
    assert prompt and (setting.model.queries.lengths - other.queries.lengths).tolist() == [prompt] * len(rows)
