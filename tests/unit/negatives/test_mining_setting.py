"""What mining on its own is set up with."""

from __future__ import annotations

from confs import compose
from omegaconf import OmegaConf

from hardneg.negatives.mining_setting import open_setting


def test_a_filter_of_live_batches_alone_is_warned_of_once(tmp_path, caplog):
    words = ("data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6", "negatives=[bm25]")
    filters = "filter=[known_positives,in_batch_margin,same_set,duplicates]"
    cfg = OmegaConf.merge(compose(*words, filters, name="mine"), {"cache": str(tmp_path)})
    open_setting(cfg, {})
    (told,) = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert told.startswith("filter=in_batch_margin does nothing here: it judges live batches alone")
    assert told.endswith("filter.in_batch_margin.at=mined has it judge these")
