"""A warning where a run that goes on keeps another temperature than it is asked for."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import lightning as L

from hardneg.training.base import TrainingModule
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum
from hardneg.training.callbacks.temperature_warmup import TemperatureWarmup
from hardneg.training.trainer_state import callbacks_of

log = logging.getLogger(__name__)


class KeptTemperatures(L.Callback):
    """Warn where a loss's temperature beside `ckpt_path` is not the one in the checkpoint, which holds it as a weight.

    Not for one that is learned, or that a curriculum or a warm-up sets at the next step.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Note what the config asks for; comes before the checkpoint's weights."""
        self.asked = _set(pl_module)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare with what the checkpoint has brought."""
        moved: set[str] = set()
        for follow in callbacks_of(trainer, FollowCurriculum):
            moved |= follow.curriculum.temperature.keys()
        for warmup in callbacks_of(trainer, TemperatureWarmup):
            if trainer.global_step <= warmup.steps:
                moved |= warmup.final.keys()
        for name, kept in _set(pl_module).items():
            asked = self.asked[name]
            if name not in moved and not math.isclose(kept, asked, rel_tol=1e-4):  # it is kept as a float32
                log.warning(
                    "the run continues with the checkpoint's loss.%s.temperature, %.4g, and not with %.4g; to train its"
                    " weights with another one, begin a run from them: init_from=CHECKPOINT in place of ckpt_path",
                    *(name, kept, asked),
                )


def _set(module: L.LightningModule) -> dict[str, float]:
    """The temperatures that are set, not learned, by loss."""
    assert isinstance(module, TrainingModule)
    losses: Mapping[str, Any] = dict(module.losses.items())
    return {name: float(loss.temperature) for name, loss in losses.items() if loss.has_temperature}
