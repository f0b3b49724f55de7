"""The data of a sweep are read before its first job, each set once."""

from __future__ import annotations

import pytest
from confs import compose

from hardneg.data.readers.jsonl import Jsonl
from hardneg.errors import ConfigError, DataError
from hardneg.preflight.data import ReadOnce

LINE = '{{"query": "q{0}", "positive": "p{0}"}}\n'


def test_a_broken_line_is_found_and_each_set_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "good.jsonl").write_text("".join(LINE.format(n) for n in range(99)))
    (tmp_path / "bad.jsonl").write_text(LINE.format(0) + "broken\n")
    load, read = Jsonl.load, []
    monkeypatch.setattr(Jsonl, "load", lambda self: (read.append(self.path), load(self))[1])
    reader = ReadOnce()
    for words in (["seed=1"], ["seed=2"], ["batch_size=8"]):
        reader.check(compose("data=jsonl", f"data.path={tmp_path}/good.jsonl", "batch_size=4", *words))
    assert len(read) == 1
    with pytest.raises(DataError, match=r"bad.jsonl:2: broken JSON"):
        reader.check(compose("data=jsonl", f"data.path={tmp_path}/bad.jsonl"))


def test_a_batch_that_no_rank_could_fill(tmp_path):
    toy = ["data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6"]  # 36 training queries
    ReadOnce().check(compose(*toy, "batch_size=18", "trainer.devices=2"))
    with pytest.raises(ConfigError, match="batch_size=19 on 2 ranks is more than the 36 training queries of toy"):
        ReadOnce().check(compose(*toy, "batch_size=19", "trainer.devices=2"))
    with pytest.raises(DataError, match="nowhere"):
        ReadOnce().check(compose(*toy, "split=nowhere", name="mine"))


def test_a_split_to_leave_out_that_the_data_do_not_have():
    toy = ["data=toy", "data.docs=120", "data.queries=60", "data.names=12", "data.attributes=6"]
    ReadOnce().check(compose(*toy, "evaluate.leave_out=train"))
    with pytest.raises(ConfigError, match=r"evaluate\.leave_out=nowhere: data 'toy' have no such split; they have dev"):
        ReadOnce().check(compose(*toy, "evaluate.leave_out=nowhere"))
    ReadOnce().check(compose(*toy, name="train_teacher"))
