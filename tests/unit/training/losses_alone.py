"""A training module that has losses and nothing else."""

from __future__ import annotations

from torch import nn

from hardneg.training.base import TrainingModule


class Module(TrainingModule):
    def __init__(self, **losses):
        nn.Module.__init__(self)
        self.losses = nn.ModuleDict(losses)
