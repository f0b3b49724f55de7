"""The learning rate and the gradient's norm as they are logged, against numbers written out."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L
import pytest
import torch

from hardneg.training.callbacks.log_steps import LogSteps


@pytest.mark.parametrize(("done", "logged"), [(3, True), (4, False), (7, True)])
def test_rate_and_norm_of_the_step_at_hand(done, logged):
    module = L.LightningModule()
    module.one, module.two = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1, 1))
    module.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    module.one.grad, module.two.grad = torch.tensor([3.0, 4.0]), torch.tensor([[12.0]])
    module.log_dict = Mock()
    optimizer = torch.optim.SGD([module.one, module.two], lr=0.25)
    LogSteps().on_before_optimizer_step(Mock(spec=L.Trainer, global_step=done, log_every_n_steps=4), module, optimizer)
    if not logged:
        return module.log_dict.assert_not_called()
    (said,) = module.log_dict.call_args.args
    assert said == {"train/lr": 0.25, "train/grad_norm": pytest.approx(13.0)}  # 3-4-12-13
    return None
