"""How fast a run trains: what is counted, and what the clock leaves out."""

from __future__ import annotations

from unittest.mock import MagicMock

import lightning as L
import pytest
import torch

from hardneg.matrix.batch import Rows
from hardneg.training.callbacks import throughput
from hardneg.training.callbacks.throughput import Throughput, overall


def test_rates_count_all_ranks_and_leave_out_what_comes_between(tmp_path, monkeypatch):
    now = iter([0.0, 2.0, 102.0, 104.0])  # an epoch starts, a step ends, an evaluation too, the next step ends
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(now))
    logged = []
    module = MagicMock(spec=L.LightningModule)
    module.log_dict = logged.append
    clock, trainer = Throughput(), MagicMock(spec=L.Trainer)
    trainer.world_size, trainer.log_every_n_steps, trainer.global_step, trainer.callbacks = 2, 2, 1, [clock]
    ids = torch.zeros(8, 3, dtype=torch.long)
    batch = Rows(query_ids=ids[:, 0], doc_ids=ids, source=ids, positive_ids=ids)
    clock.on_train_epoch_start(trainer, module)
    clock.on_train_batch_end(trainer, module, None, batch, 0)
    clock.again().on_train_batch_end()
    trainer.global_step = 2
    clock.on_train_batch_end(trainer, module, None, batch, 1)
    # 2 steps x 2 ranks x 8 queries (x 3 documents) in 2 + 2 seconds
    assert logged == [{"train/queries_per_second": 8.0, "train/documents_per_second": 24.0}]
    clock.on_train_end(trainer, module)
    told = overall(trainer)
    rates = {"train_seconds": 4.0, "queries_per_second": 8.0, "documents_per_second": 24.0}
    assert told == pytest.approx({**rates, "queries": 32, "documents_per_query": 3.0})


def test_a_resumed_run_counts_on_from_its_checkpoint(tmp_path):
    before, after, trainer = Throughput(), Throughput(), MagicMock(spec=L.Trainer)
    before.total, before.trained = {"queries": 60, "documents": 180}, 5.0
    before.seen, before.seconds = {"queries": 4, "documents": 12}, 3.0  # of no row yet
    after.load_state_dict(before.state_dict())
    trainer.callbacks = [after]
    after.on_train_end(trainer, MagicMock(spec=L.LightningModule))
    told = overall(trainer)
    assert (told["train_seconds"], told["queries_per_second"], told["queries"]) == (8.0, 8.0, 64)
