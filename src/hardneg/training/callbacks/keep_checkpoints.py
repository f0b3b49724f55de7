"""Which checkpoints a run keeps: the last state and the best on dev."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from hardneg.runs.folder import BEST, LAST
from hardneg.system import agreement
from hardneg.training.callbacks.evaluation import Evaluate
from hardneg.training.trainer_state import all_steps_made, at_a_step, ends_now

BEST_STEM, LAST_STEM = (name.removesuffix(".ckpt") for name in (BEST, LAST))
RARE = 20  # after a write the ends of epochs leave last.ckpt alone for this many times as long as the write took
LONGEST = 600.0  # seconds, after which it is written in any case


def last_checkpoints(folder: Path, every_n_steps: int) -> list[ModelCheckpoint]:
    """Write last.ckpt every `every_n_steps` steps and at epochs' ends; Lightning's callback does only one of the two.

    Where epochs are short, their ends write it so seldom that writing takes a twentieth of the time at most: a table of
    word vectors of 140 MB, written after each epoch of a third of a second, made a third of the run. They do write it
    when `every_n_steps` are up, when best.ckpt is newer, which would otherwise hold steps that a resumed run has not
    made, and at the run's end.
    """
    return [
        _WithinEpoch(dirpath=folder, filename=LAST_STEM, every_n_train_steps=every_n_steps),
        _AtEpochEnd(every_n_steps, folder),
    ]


def last_written(trainer: L.Trainer) -> int:
    """The step of last.ckpt; 0 where this process has not written it."""
    return _written(trainer, LAST_STEM)


def _written(trainer: L.Trainer, stem: str) -> int:
    kept = [one for one in trainer.checkpoint_callbacks if isinstance(one, _Keep) and one.filename == stem]
    return max((one._last_global_step_saved for one in kept), default=0)


def best_checkpoint(folder: Path, metric: str, evaluate: Evaluate) -> ModelCheckpoint:
    """Write best.ckpt when the dev metric is the highest so far."""
    return _Best(
        evaluate,
        dirpath=folder,
        filename=BEST_STEM,
        monitor=f"val/{metric}",
        mode="max",
        save_on_train_epoch_end=True,
    )


class _Keep(ModelCheckpoint):
    """One file with one name: no version counters, and no metric (whose `=` would break Hydra's parser) in the name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(save_top_k=1, enable_version_counter=False, auto_insert_metric_name=False, **kwargs)


class _WithinEpoch(_Keep):
    """Leave the last batch, of an epoch or of the run, to the epoch-end checkpoint.

    One written between that batch and the evaluation would be resumed as a finished epoch, without its evaluation. None
    is written between batches whose gradients are accumulated, which a checkpoint does not hold: the step before them,
    of an epoch's end or of a run that goes on, is a multiple of `every_n_train_steps` until they are complete.
    """

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *rest: Any) -> None:
        """Save as Lightning does, unless the epoch ends here."""
        ends = trainer.is_last_batch or all_steps_made(trainer)
        if at_a_step(trainer) and not ends:
            super().on_train_batch_end(trainer, pl_module, *rest)


class _AtEpochEnd(_Keep):
    """Write at an epoch's end, unless that would be too much writing."""

    def __init__(self, every_n_steps: int, folder: Path) -> None:
        super().__init__(dirpath=folder, filename=LAST_STEM, every_n_epochs=1, save_on_train_epoch_end=True)
        self.every_n_steps = every_n_steps
        self.again = 0.0  # when, by the monotonic clock, it is time to write once more

    @property
    def state_key(self) -> str:
        """As checkpoints have it that were written when every epoch's end wrote."""
        return super().state_key.replace(type(self).__name__, _Keep.__name__, 1)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save as Lightning does where it is time to."""
        last = last_written(trainer)
        must = ends_now(trainer) or _written(trainer, BEST_STEM) > last
        must |= trainer.global_step - last >= self.every_n_steps
        if must or agreement.first(lambda: time.monotonic() >= self.again):
            began = time.monotonic()
            super().on_train_epoch_end(trainer, pl_module)
            self.again = time.monotonic() + min(RARE * (time.monotonic() - began), LONGEST)


class _Best(_Keep):
    """Look only where dev was evaluated: Lightning remembers the last value where it was not.

    The value of best.ckpt goes along when a run's folder is moved: Lightning forgets it where the path is another, and
    would put a worse checkpoint in its place. A run that goes on from another run's checkpoint, in a folder of its own,
    has no best.ckpt yet, and chooses among its own evaluations alone.
    """

    def __init__(self, evaluate: Evaluate, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluate = evaluate

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the value of the best.ckpt that lies in this folder, whatever path the folder had."""
        here = Path(str(self.dirpath), BEST)
        if here.is_file() and state_dict["best_k_models"]:
            (score,) = state_dict["best_k_models"].values()
            paths = {"best_model_path": str(here), "kth_best_model_path": str(here), "dirpath": self.dirpath}
            state_dict = {**state_dict, **paths, "best_k_models": {str(here): score}}
        super().load_state_dict(state_dict)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say from which step on evaluations choose, where none has chosen yet."""
        super().on_train_start(trainer, pl_module)
        if not self.best_k_models:
            self.evaluate.since = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *rest: Any) -> None:
        """Save as at an epoch's end, if there was an evaluation within one."""
        if self.evaluate.just_measured:
            super().on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save as Lightning does, if this end has a dev metric of its own."""
        if self.evaluate.just_measured:
            super().on_train_epoch_end(trainer, pl_module)
