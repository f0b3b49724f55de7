"""What a run's status says of dev while it trains: the best so far, which is what its weights will be from."""

from __future__ import annotations

import lightning as L
import pytest

from hardneg.runs import status
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.progress import NoteProgress
from hardneg.training.final_test import best_dev


class Evaluated(Evaluate):
    """An evaluation that has come to these (step, ndcg@10, mrr@10)."""

    def __init__(self, *points):
        self.best, self.since = "ndcg@10", 0
        self.history = [{"step": step, "val/ndcg@10": ndcg, "val/mrr@10": mrr} for step, ndcg, mrr in points]


@pytest.mark.parametrize(
    ("points", "noted"),
    [
        ([(0, 0.9, 0.9)], {}),  # the untrained start has no checkpoint
        ([(0, 0.9, 0.9), (4, 0.5, 0.1), (8, 0.4, 0.6)], {"ndcg@10": 0.5, "mrr@10": 0.1}),
        ([(4, 0.5, 0.1), (8, 0.5, 0.6)], {"ndcg@10": 0.5, "mrr@10": 0.1}),  # the first of equal ones is kept
    ],
)
def test_the_status_has_the_metrics_of_the_best_evaluation_since_the_first_step(tmp_path, points, noted):
    evaluate = Evaluated(*points)
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    NoteProgress(tmp_path, evaluate).on_train_epoch_end(trainer, L.LightningModule())
    status.write(tmp_path, state="running")
    assert status.read(tmp_path)["dev_at_best"] == noted
    assert best_dev(evaluate) == noted.get("ndcg@10")
