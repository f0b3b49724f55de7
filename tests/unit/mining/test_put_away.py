"""Frozen miners and teachers leave the device to training when a round is over."""

from __future__ import annotations

import torch

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.fused import Fused
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.system import distributed
from hardneg.teachers.bi_encoder import BiEncoderTeacher


def moves(monkeypatch):
    """Where modules were sent, in order; to a device that is not there nothing moves."""
    sent = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, where, *_, **__: sent.append(str(where)) or self)
    monkeypatch.setattr(torch.nn.Module, "cpu", lambda self: sent.append("cpu") or self)
    return sent


def test_each_round_brings_the_weights_to_the_device_and_takes_them_away(toy, tmp_path, monkeypatch):
    training, device = TrainingSet(toy), torch.device("cuda", 1)
    teacher = BiEncoderTeacher(encoder=Static(dim=8), precision="32-true")
    miner = Fused([BM25(), Dense(encoder=Static(dim=8), precision="32-true")])
    source = Stored(k=2, miner=miner, depth=8, teacher=teacher)
    sent = moves(monkeypatch)
    for _ in range(2):
        with distributed.computing_on(device):
            source.mine(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
        assert sent == ["cuda:1", "cuda:1", "cpu", "cpu"], "teacher and miner come, and both go"
        sent.clear()
    assert teacher.docs is None
