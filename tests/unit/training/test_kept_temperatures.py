"""A run that goes on says where it keeps another temperature than it is asked for."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
from losses_alone import Module

from hardneg.losses.infonce import InfoNCE
from hardneg.negatives.curriculum import Curriculum
from hardneg.training.callbacks.follow_curriculum import FollowCurriculum
from hardneg.training.callbacks.kept_temperatures import KeptTemperatures
from hardneg.training.callbacks.temperature_warmup import TemperatureWarmup

CURRICULUM = FollowCurriculum(Curriculum(temperature={"infonce": [0.1, 0.05]}), {})


@pytest.mark.parametrize(
    ("loss", "beside", "step", "said"),
    [
        (InfoNCE(0.05), [], 10, True),
        (InfoNCE(0.02), [], 10, False),
        (InfoNCE(0.05, learn_temperature=True), [], 10, False),
        (InfoNCE(0.05), [CURRICULUM], 10, False),
        (InfoNCE(0.05), [TemperatureWarmup(20)], 10, False),
        (InfoNCE(0.05), [TemperatureWarmup(5)], 10, True),
    ],
)
def test_another_temperature_than_the_checkpoints_is_told(caplog, loss, beside, step, said):
    module, callback = Module(infonce=loss), KeptTemperatures()
    trainer = Mock(spec=L.Trainer, callbacks=beside, global_step=step)
    for one in [callback, *beside]:
        one.setup(trainer, module, "fit")
    loss.load_state_dict(InfoNCE(0.02).state_dict())
    callback.on_train_start(trainer, module)
    told = "continues with the checkpoint's loss.infonce.temperature, 0.02, and not with 0.05"
    assert (told in caplog.text) == said and bool(caplog.text) == said
