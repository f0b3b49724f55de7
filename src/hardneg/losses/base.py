"""What every loss has: a weight, and what it needs and reads of the candidates or the vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates
from hardneg.matrix.embedded import Embedded


class Weighed(nn.Module):
    """A term of a run's loss.

    A module, so that what it learns (a temperature) follows device and checkpoint.

    Raises `ConfigError` for a weight of 0 or less.
    """

    needs_teacher: bool = False
    needs_reverse: bool = False
    has_temperature: bool = False
    corrects_sampling: bool = False  # a sampled softmax, which reads `log_q`
    may_learn: bool = False  # may get weights of its own once the widths are known
    mixes_rows: bool = False  # compares rows with each other: a row's value depends on the others'

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight <= 0:
            raise ConfigError(f"loss weight must be positive, got {weight}; leave the loss out instead")
        self.weight = weight

    @property
    def key(self) -> str:
        """What the config calls its kind: the name of its file."""
        return type(self).__module__.rpartition(".")[2]

    def reads(self, source: str) -> bool:
        """Whether the loss sees this source's negatives."""
        return False

    def learns_from(self, sources: Iterable[str]) -> bool:
        """Whether the loss has a gradient where these sources alone offer negatives."""
        return any(map(self.reads, sources))

    def learned(self) -> dict[str, Tensor]:
        """What the loss learns beside the towers, as metrics."""
        return {}

    def set_temperature(self, value: float) -> None:
        """Divide similarities by this from now on, as a curriculum asks; only if `has_temperature`."""
        raise NotImplementedError


class Loss(Weighed, ABC):
    """A loss reads the score matrix and returns one unreduced value per query.

    With `sources` it sees the positives and the negatives of these sources alone, whatever `forward` does; null: of
    all. With `sets` (data=mix) it counts the queries of these data sets alone; others have loss 0, and every query
    weighs the same in a batch's mean. With `live_teacher` the scores that it reads, of the positives too, are those of
    the in-batch teacher (`negatives.in_batch.teacher`), not those that come with drawn negatives, on another scale.
    """

    sources: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None
    live_teacher: bool = False  # set by the run, depending on what the loss reads
    rows: Int[Tensor, "S 2"] | None

    def __init__(
        self, weight: float = 1.0, sources: Sequence[str] | None = None, sets: Sequence[str] | None = None
    ) -> None:
        super().__init__(weight)
        self.sources = named(sources, "sources", "sources of negatives")
        self.sets = named(sets, "sets", "data sets")
        self.register_buffer("rows", None, persistent=False)  # where the sets' queries begin and end

    def over(self, sets: Mapping[str, range]) -> None:
        """Say which rows of the query table each data set of the run has; called once, before the first batch."""
        if self.sets is not None:
            self.rows = torch.tensor([[sets[name].start, sets[name].stop] for name in self.sets])

    def __call__(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's loss over what the loss reads, without the weight."""
        value: Tensor = super().__call__(self.read(c))
        counted = self.counted(c)
        return value if counted is None else value.where(counted, 0.0)

    def counted(self, c: Candidates) -> Bool[Tensor, " B"] | None:
        """Say which rows are of the loss's data sets; None where all count."""
        if self.sets is None or c.query_ids is None:
            return None
        assert self.rows is not None, "over() comes first"
        query = c.query_ids[:, None]
        return ((query >= self.rows[:, 0]) & (query < self.rows[:, 1])).any(dim=1)

    def reads(self, source: str) -> bool:
        """Whether the loss sees this source's negatives."""
        return self.sources is None or source in self.sources

    def read(self, c: Candidates) -> Candidates:
        """Return what the loss sees of the candidates."""
        counted = self.counted(c)
        c = c.by_live_teacher() if self.live_teacher else c
        c = c if counted is None else c.of_rows(counted)
        return c if self.sources is None else c.of_sources(self.sources)

    @abstractmethod
    def forward(self, c: Candidates) -> Float[Tensor, " B"]:
        """Return each row's loss, without the weight; `c` holds what the loss reads."""


class VectorLoss(Weighed, ABC):
    """A loss reads the vectors of a step, whatever their scores, and returns one value.

    Filters and the columns of sources do not affect it. `alone` says whether it can be trained on without another loss;
    `at_all_widths` whether it counts at each of the widths of `encoder.matryoshka`, or at the full one only.
    """

    alone: bool = False
    at_all_widths: bool = True

    def learns_from(self, sources: Iterable[str]) -> bool:
        """Whether it can be trained on whatever negatives there are."""
        return self.alone

    @abstractmethod
    def forward(self, e: Embedded, batch: Batch) -> Float[Tensor, ""]:
        """Return the value, without the weight; with several ranks the mean of their values counts."""


class AtTemperature(Loss):
    """A loss that divides scores by a temperature which is set, not learned.

    Raises `ConfigError` for a temperature of 0 or less.
    """

    has_temperature = True

    def __init__(
        self,
        temperature: float = 1.0,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(weight, sources, sets)
        if temperature <= 0:
            raise ConfigError(f"loss.{self.key}.temperature must be positive, got {temperature}")
        self.temperature = temperature

    def set_temperature(self, value: float) -> None:
        """Take this temperature."""
        self.temperature = value


class OfTeacher(AtTemperature):
    """A loss that fits the student's similarities, over one temperature, to a teacher's scores over another.

    Raises `ConfigError` for a temperature of 0 or less.
    """

    needs_teacher = True

    def __init__(
        self,
        temperature: float = 0.05,
        teacher_temperature: float = 1.0,
        weight: float = 1.0,
        sources: Sequence[str] | None = None,
        sets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(temperature, weight, sources, sets)
        if teacher_temperature <= 0:
            raise ConfigError(f"loss.{self.key}.teacher_temperature must be positive, got {teacher_temperature}")
        self.teacher_temperature = teacher_temperature


def row_mean(values: Float[Tensor, "B N"], counted: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """Average each row over what is counted; 0, with no gradient, where nothing is."""
    return values.masked_fill(~counted, 0.0).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def named(names: Sequence[str] | None, key: str, what: str) -> tuple[str, ...] | None:
    """Return a list of names as a tuple, null as it is; raises `ConfigError` for one name or none."""
    if names is None:
        return None
    if isinstance(names, str) or not names:
        raise ConfigError(f"{key} is a list of {what}, as in [{names or 'NAME'}], or null for all; got {names!r}")
    return tuple(dict.fromkeys(names))
