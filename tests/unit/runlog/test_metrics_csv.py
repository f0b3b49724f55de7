"""`metrics.csv`: what stands in it after crashes, resumes and new columns."""

from __future__ import annotations

import csv
import os
import pickle
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import warm
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from hardneg.errors import DataError
from hardneg.runlog.metrics_csv import MetricsCsv


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def steps(folder: Path) -> list[int]:
    return [int(row["step"]) for row in rows(folder)]


def test_rows_are_on_disk_at_once_and_sparse(tmp_path):
    logger = MetricsCsv(tmp_path / "run")
    logger.log_metrics({"train/loss": torch.tensor(0.5), "epoch": 0}, step=3)
    logger.log_metrics({"val/ndcg@10": 0.25})
    assert (tmp_path / "run/metrics.csv").read_text() == ("step,epoch,train/loss,val/ndcg@10\n3,0,0.5,\n3,,,0.25\n")


def test_new_column_midway_keeps_rows_and_leaves_no_temp_file(tmp_path):
    logger = MetricsCsv(tmp_path)
    for step in range(3):
        logger.log_metrics({"train/loss": 1.0}, step=step)
    logger.log_metrics({"negatives/bm25/kept": 0.5}, step=3)
    logger.log_metrics({"train/loss": 2.0}, step=4)
    assert steps(tmp_path) == [0, 1, 2, 3, 4]
    assert rows(tmp_path)[3] == {"step": "3", "negatives/bm25/kept": "0.5"}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_no_rewrite_without_a_new_column(tmp_path, monkeypatch):
    logger = MetricsCsv(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=0)
    monkeypatch.setattr(logger, "_rewrite", lambda rows: pytest.fail("rewrote the file"))
    for step in range(1, 50):
        logger.log_metrics({"train/loss": 1.0}, step=step)
    assert len(rows(tmp_path)) == 50


def test_resume_appends_and_cuts_what_is_logged_again(tmp_path):
    first = MetricsCsv(tmp_path)
    for step in range(10):
        first.log_metrics({"train/loss": step}, step=step)
    resumed = MetricsCsv(tmp_path)
    assert steps(tmp_path) == list(range(10)), "nothing is cut before the first row"
    for step in range(6, 12):
        resumed.log_metrics({"train/loss": step + 100}, step=step)
    assert steps(tmp_path) == list(range(12))
    assert [float(row["train/loss"]) for row in rows(tmp_path)] == [*range(6), *range(106, 112)]


def test_rows_of_the_first_step_that_are_not_repeated_stay(tmp_path):
    first = MetricsCsv(tmp_path)
    first.log_metrics({"train/loss": 1.0}, step=4)
    first.log_metrics({"val/ndcg@10": 0.5}, step=4)
    first.log_metrics({"test/ndcg@10": 0.5}, step=4)
    first.log_metrics({"train/loss": 1.0}, step=5)
    resumed = MetricsCsv(tmp_path)
    resumed.log_metrics({"train/loss": 1.5}, step=4)
    resumed.log_metrics({"test/ndcg@10": 0.75}, step=4)
    resumed.log_metrics({"test/ndcg@10": 0.75}, step=4)
    assert rows(tmp_path) == [
        {"step": "4", "val/ndcg@10": "0.5"},
        {"step": "4", "train/loss": "1.5"},
        {"step": "4", "test/ndcg@10": "0.75"},
        {"step": "4", "test/ndcg@10": "0.75"},
    ]


def test_cut_false_only_adds(tmp_path):
    MetricsCsv(tmp_path).log_metrics({"train/loss": 1.0}, step=9)
    MetricsCsv(tmp_path, cut=False).log_metrics({"test/ndcg@10": 0.5}, step=0)
    assert steps(tmp_path) == [9, 0]


def test_half_a_last_line_is_dropped(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,1.0\n1,2.0\n2,")
    MetricsCsv(tmp_path).log_metrics({"train/loss": 3.0}, step=2)
    assert (tmp_path / "metrics.csv").read_text() == "step,train/loss\n0,1.0\n1,2.0\n2,3.0\n"


def test_a_foreign_file_is_not_touched(tmp_path):
    (tmp_path / "metrics.csv").write_text("name,value\na,1\n")
    with pytest.raises(DataError, match=r"metrics\.csv:1: "):
        MetricsCsv(tmp_path).log_metrics({"train/loss": 1.0}, step=0)
    assert (tmp_path / "metrics.csv").read_text() == "name,value\na,1\n"


def test_other_ranks_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    MetricsCsv(tmp_path).log_metrics({"train/loss": 1.0}, step=0)
    assert list(tmp_path.iterdir()) == []


def test_pickled_logger_goes_on(tmp_path):
    logger = MetricsCsv(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=5)
    pickle.loads(pickle.dumps(logger)).log_metrics({"train/loss": 1.0}, step=5)
    assert steps(tmp_path) == [5, 5]


def test_kill_9_loses_no_row(tmp_path):
    if (number := os.fork()) == 0:
        try:
            logger = MetricsCsv(tmp_path)
            for step in range(200):
                logger.log_metrics({"train/loss": 1 / (step + 1), "epoch": 0}, step=step)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(number, 0)[1] == signal.SIGKILL
    assert steps(tmp_path) == list(range(200))


def _import() -> None:
    import hardneg.runlog.wandb_read
    import hardneg.runlog.wandb_run  # noqa: F401

    assert "wandb" not in sys.modules


def test_only_a_run_at_wandb_needs_wandb():
    importing = warm.context.Process(target=_import)
    importing.start()
    importing.join()
    assert importing.exitcode == 0


class Tiny(pl.LightningModule):
    """Logs a train row per step, one per epoch and a validation row; dies at step `die`."""

    def __init__(self, die: int = -1) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.die = die

    def training_step(self, batch, batch_idx):
        if self.global_step == self.die:
            raise RuntimeError("dead")
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/ndcg@10", float(self.global_step))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(folder: Path, checkpoint: ModelCheckpoint, die: int = -1, resume: str | None = None) -> None:
    pl.seed_everything(0)
    model, batches = Tiny(die), torch.utils.data.DataLoader(torch.ones(8, 1))
    trainer = pl.Trainer(
        max_epochs=2, logger=MetricsCsv(folder), callbacks=[checkpoint], log_every_n_steps=1, accelerator="cpu",
        val_check_interval=4, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, batches, batches, ckpt_path=resume, weights_only=False if resume else None)


@pytest.mark.parametrize("every", [3, 4, 8, 0], ids=["step3", "validation", "epoch", "never"])
def test_resumed_file_equals_that_of_an_uninterrupted_run(tmp_path, every):
    def checkpoint(folder: str) -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / folder, save_last=True, every_n_train_steps=every or 10**6)

    fit(tmp_path / "whole", checkpoint("a"))
    with pytest.raises(RuntimeError, match="dead"):
        fit(tmp_path / "broken", checkpoint("b"), die=11)
    last = tmp_path / "b/last.ckpt"
    fit(tmp_path / "broken", checkpoint("b"), resume=str(last) if last.exists() else None)
    assert len(rows(tmp_path / "whole")) == 16 + 4 + 2
    drop = ("train/loss_epoch",)  # Lightning's mean over an epoch knows only the batches since the resume
    whole, broken = (
        [{key: value for key, value in row.items() if key not in drop} for row in rows(tmp_path / name)]
        for name in ("whole", "broken")
    )
    assert whole == broken
