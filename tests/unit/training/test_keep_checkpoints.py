"""How often the end of an epoch writes last.ckpt."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel, RandomDataset

from hardneg.data.tables import RetrievalData
from hardneg.retrieval.retriever import Retriever
from hardneg.training.callbacks import keep_checkpoints
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.callbacks.keep_checkpoints import best_checkpoint, last_checkpoints


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Train epochs of so many seconds, by a clock that writing takes a second of; return those whose end wrote."""
    clock, epochs = [100.0], []

    def save(self, trainer, module):
        epochs.append(trainer.current_epoch)
        self._last_global_step_saved = trainer.global_step
        clock[0] += 1.0

    monkeypatch.setattr(keep_checkpoints.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ModelCheckpoint, "on_train_epoch_end", save)

    def train(count, seconds, stops_at=None, best_at=(), every_n_steps=1000):
        kept = [best_checkpoint(tmp_path, "ndcg@10", evaluated()), *last_checkpoints(tmp_path, every_n_steps)]
        for epoch in range(count):
            clock[0] += seconds
            stops, steps = epoch == stops_at, 10 * (epoch + 1)
            if epoch in best_at:
                kept[0]._last_global_step_saved = steps
            facts = {"current_epoch": epoch, "max_epochs": count, "max_steps": -1, "global_step": steps}
            loop = Mock(_can_stop_early=True)
            trainer = Mock(spec=L.Trainer, **facts, should_stop=stops, fit_loop=loop, checkpoint_callbacks=kept)
            kept[-1].on_train_epoch_end(trainer, Mock(spec=L.LightningModule))
            if stops:
                break
        return epochs

    return train


def test_where_epochs_are_long_each_end_writes(written):
    assert written(4, 20.0) == [0, 1, 2, 3]


def test_where_they_are_short_writing_takes_a_twentieth_of_the_time_and_the_last_end_writes(written):
    assert written(12, 5.0) == [0, 4, 8, 11]


def test_the_end_of_a_run_that_stops_early_writes(written):
    assert written(12, 5.0, stops_at=2) == [0, 2]


def test_a_newer_best_checkpoint_and_the_steps_that_were_asked_for_make_it_write(written):
    assert written(12, 0.1, best_at=(3, 4)) == [0, 3, 4, 11]


def test_no_more_steps_pass_than_were_asked_for(written):
    assert written(12, 0.1, every_n_steps=40) == [0, 4, 8, 11]


def test_a_slow_write_is_no_reason_to_wait_for_hours(written, monkeypatch):
    monkeypatch.setattr(keep_checkpoints, "RARE", 10_000)
    assert written(12, 200.0) == [0, 3, 6, 9, 11]


def test_its_state_is_found_by_the_name_that_older_checkpoints_have(tmp_path):
    plain = keep_checkpoints._Keep(dirpath=tmp_path, filename="last", every_n_epochs=1, save_on_train_epoch_end=True)
    assert last_checkpoints(tmp_path, 200)[1].state_key == plain.state_key


class Look(Checkpoint):
    """Read, when a batch has ended and last.ckpt may have been written, how many batches that has seen."""

    def __init__(self, path):
        self.path, self.found = path, set()

    def on_train_batch_end(self, *_):
        if self.path.exists():
            loop = torch.load(self.path, weights_only=True)["loops"]["fit_loop"]
            self.found.add(loop["epoch_loop.batch_progress"]["total"]["ready"])


def test_none_is_written_between_batches_whose_gradients_are_added_up(tmp_path):
    """Three batches make two steps an epoch; a second kill would lose the gradient of the fourth batch."""

    def train(epochs, ckpt_path=None):
        callbacks, look = last_checkpoints(tmp_path, 2), Look(tmp_path / "last.ckpt")
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = L.Trainer(
            max_epochs=epochs, accumulate_grad_batches=2, accelerator="cpu", callbacks=[*callbacks, look], **quiet
        )
        batches = torch.utils.data.DataLoader(RandomDataset(32, 6), batch_size=2)
        trainer.fit(BoringModel(), batches, ckpt_path=ckpt_path)
        return look.found

    assert train(2) == {3}
    assert train(4, tmp_path / "last.ckpt") == {6, 9}


def evaluated(*values):
    """Evaluations of a run, one after every ten steps."""
    data = Mock(spec=RetrievalData, fingerprint=str)
    evaluate = Evaluate(Mock(spec=Retriever, data=data), "dev", [], False, [], 10, 1, None, None, "ndcg@10")
    evaluate.history = [{"step": 10 * n, "val/ndcg@10": value} for n, value in enumerate(values)]
    return evaluate


def saved(folder, value):
    """A folder with a best.ckpt, and what last.ckpt says of it."""
    kept = best_checkpoint(folder, "ndcg@10", evaluated())
    path = str(folder.resolve() / "best.ckpt")
    folder.mkdir()
    (folder / "best.ckpt").touch()
    kept.best_k_models, kept.kth_best_model_path, kept.best_model_path = {path: torch.tensor(value)}, path, path
    kept.kth_value = kept.best_model_score = torch.tensor(value)
    return kept.state_dict()


def begun(folder, state, evaluate, step):
    """The callback of a run in this folder that starts from this state at a step."""
    kept = best_checkpoint(folder, "ndcg@10", evaluate)
    kept.load_state_dict(state)
    kept.on_train_start(Mock(spec=L.Trainer, global_step=step), Mock(spec=L.LightningModule))
    return kept


def test_the_best_of_a_run_whose_folder_was_moved_is_not_replaced_by_a_worse_one(tmp_path):
    state, evaluate = saved(tmp_path / "here", 0.5), evaluated(0.1, 0.5, 0.4)
    (tmp_path / "here").rename(tmp_path / "there")
    kept = begun(tmp_path / "there", state, evaluate, 20)
    trainer = Mock(spec=L.Trainer, strategy=Mock(reduce_boolean_decision=bool))
    assert not kept.check_monitor_top_k(trainer, torch.tensor(0.45))
    assert kept.check_monitor_top_k(trainer, torch.tensor(0.55))
    assert kept.best_model_path == str(tmp_path.resolve() / "there" / "best.ckpt")
    assert evaluate.best_point["step"] == 10


def test_a_run_from_another_runs_checkpoint_reports_the_best_of_its_own_evaluations(tmp_path):
    state, evaluate = saved(tmp_path / "one", 0.5), evaluated(0.1, 0.5, 0.4)
    kept = begun(tmp_path / "other", state, evaluate, 20)
    assert kept.check_monitor_top_k(Mock(spec=L.Trainer), torch.tensor(0.3))
    assert evaluate.best_point is None
    evaluate.history += [{"step": 30, "val/ndcg@10": 0.3}, {"step": 40, "val/ndcg@10": 0.2}]
    resumed = evaluated()
    resumed.load_state_dict(evaluate.state_dict())
    begun(tmp_path / "other", saved(tmp_path / "other", 0.3), resumed, 40)
    assert evaluate.best_point == resumed.best_point == {"step": 30, "val/ndcg@10": 0.3}
