"""What every loss has: a weight, and what it needs from the candidates, or from the vectors themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded


class Weighed(nn.Module):
    """What a run's loss is summed of.

    A module, so that what it learns (a temperature) follows device and checkpoint.
    """

    needs_teacher: bool = False
    needs_reverse: bool = False
    has_temperature: bool = False
    corrects_sampling: bool = False  # a sampled softmax, which reads `log_q`

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight <= 0:
            raise ConfigError(f"loss weight must be positive, got {weight}; leave the loss out instead")
        self.weight = weight

    def learned(self) -> dict[str, Tensor]:
        """What the loss learns beside the towers, as metrics."""
        return {}

    def set_temperature(self, value: float) -> None:
        """Divide similarities by this from now on (a curriculum asks for it); only where `has_temperature`."""
        raise NotImplementedError


class Loss(Weighed, ABC):
    """A loss reads the score matrix and returns one unreduced value per query."""

    @abstractmethod
    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's loss, without the weight."""


class VectorLoss(Weighed, ABC):
    """A loss reads the vectors of a step, whatever their scores, and returns one value.

    No filter and no source's columns come into it. `alone` says whether one can be trained on it with no other loss;
    `at_all_widths` whether it counts at each of the widths of `encoder.matryoshka`, or at the full one only;
    `needs_vectors` whether the batch must bring those of a teacher (`EmbedDistill`).
    """

    alone: bool = False
    at_all_widths: bool = True
    needs_vectors: bool = False

    @abstractmethod
    def forward(self, e: Embedded, batch: Batch) -> Float[Tensor, ""]:
        """Return the value, without the weight; of several ranks the mean of their values counts."""


class AtTemperature(Loss):
    """A loss that divides scores by a temperature which is set, not learned."""

    has_temperature = True

    def __init__(self, temperature: float = 1.0, weight: float = 1.0) -> None:
        super().__init__(weight)
        if temperature <= 0:
            name = type(self).__name__.lower()
            raise ConfigError(f"loss.{name}.temperature must be positive, got {temperature}")
        self.temperature = temperature

    def set_temperature(self, value: float) -> None:
        """Take this temperature."""
        self.temperature = value
