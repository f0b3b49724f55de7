"""What every encoder has: a recipe that is cheap to make, and a tower that embeds tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side
from hardneg.encoders.encode import AUTO, check_tokens
from hardneg.errors import ConfigError


class Tower(nn.Module):
    """Embeds token ids; `dim` is the width of the embeddings."""

    dim: int

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row."""
        raise NotImplementedError

    def blocks(self) -> list[nn.Module]:
        """The parts that run one after the other, by which weights are split over devices; none: as a whole."""
        return []


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(ABC):
    """Describes the towers without loading anything, so that a whole sweep can be checked before its first job.

    `lr` is the learning rate that suits the encoder, which the optimizer takes unless it is given one. `separate` gives
    queries and documents a tower each, both from the same start. `momentum` has training documents embedded by a tower
    that follows the trained one as its moving average, without gradient (see `Towers`). `freeze` may be "document":
    only queries are trained, and documents keep the vectors that they start with. `tokens` is the size of the
    length-sorted parts in which a training batch is encoded ("auto" suits the device, null is one part, see
    `embed.budget`); with `grad_cache` their activations are computed again instead of kept, for batches of thousands in
    the memory of one part.

    `matryoshka` names widths (or gives each a weight, 1 otherwise) to which embeddings may be cut: the losses are
    summed over them and the full width (Kusupati et al. 2022, arXiv:2205.13147). `normalize` makes embeddings unit
    vectors, at every width.
    """

    query: Side = Side(max_length=64)
    document: Side = Side(max_length=128)
    separate: bool = False
    momentum: float | None = None
    freeze: str | None = None
    lr: float = 2e-5
    tokens: int | str | None = AUTO
    grad_cache: bool = False
    matryoshka: Sequence[int] | Mapping[int, float] | None = None
    normalize: bool = True

    gains_from_bf16: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_tokens(self.tokens)
        if self.grad_cache and self.tokens is None:
            raise ConfigError("encoder.grad_cache=true works part by part: set encoder.tokens=auto or a number")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise ConfigError(f"encoder.momentum must be at least 0 and below 1, got {self.momentum}")
        if self.momentum is not None and self.separate:
            raise ConfigError(
                "encoder.momentum embeds documents with the query tower's average; set encoder.separate=false"
            )
        if self.freeze not in (None, "document"):
            raise ConfigError(f"encoder.freeze must be document, or null for none, got {self.freeze!r}")
        if self.freeze and self.momentum is not None:
            raise ConfigError(
                "encoder.momentum moves the documents, which encoder.freeze=document keeps; set one of the two to null"
            )
        self.widths()

    @property
    def two_towers(self) -> bool:
        """Whether queries and documents have a tower each."""
        return self.separate or self.freeze is not None

    @property
    def starts_random(self) -> bool:
        """Whether the towers know nothing before they are trained."""
        return False

    def widths(self, dim: int | None = None) -> dict[int, float]:
        """The weight of each width, narrowest first; with the encoder's `dim` also that of the full width.

        Raises `ConfigError` for a width that is none, or is more than `dim`.
        """
        given = self.matryoshka or {}
        weights = {k: float(v) for k, v in given.items()} if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
        for width, weight in weights.items():
            if not isinstance(width, int) or width < 1 or (dim is not None and width > dim):
                most = "" if dim is None else f" of at most {dim}, the encoder's own"
                raise ConfigError(f"encoder.matryoshka needs widths{most}, got {width!r}")
            if weight <= 0:
                raise ConfigError(f"encoder.matryoshka: the weight of {width} must be positive, got {weight}")
        if dim is not None:
            weights.setdefault(dim, 1.0)
        return dict(sorted(weights.items()))

    @abstractmethod
    def tokenizer(self, corpus: Texts, queries: Texts | None = None) -> Tokenizer:
        """Load the tokenizer, or make one from the corpus and, for some encoders, the training queries."""

    @abstractmethod
    def build(self, tokenizer: Tokenizer) -> Tower:
        """Make a tower with its starting weights."""

    @abstractmethod
    def architecture(self, tower: Tower) -> dict[str, Any]:
        """Return what `rebuild` needs, as plain values for the checkpoint."""

    @abstractmethod
    def rebuild(self, architecture: dict[str, Any]) -> Tower:
        """Make an empty tower of that shape, for a checkpoint's weights; reads no other file."""


TRAINING_ONLY = (
    "lr",
    "dropout",
    "tokens",
    "momentum",
    "freeze",
    "grad_cache",
    "matryoshka",
)  # fields of a recipe that change no embedding
