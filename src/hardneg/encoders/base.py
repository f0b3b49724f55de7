"""What every encoder has: a recipe that is cheap to make, and a tower that embeds tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side
from hardneg.encoders.encode import AUTO, check_tokens
from hardneg.encoders.purposes import Purpose, setting, with_purpose
from hardneg.errors import ConfigError
from hardneg.matrix.batch import Tokens

LENGTHS = {"query": 64, "document": 128}  # tokens; where neither config nor model sets a maximum length


class Tower(nn.Module):
    """Embeds token ids; `dim` is the width of the embeddings, `normalize` whether they are unit vectors.

    One that `takes_lengths` is given the lengths of its texts, on the CPU, in training. `tokens_at_once` is the number
    of padded tokens in a part where no gradient is needed; None: what suits a transformer there.
    """

    dim: int
    normalize: bool
    takes_lengths: bool = False
    tokens_at_once: int | None = None
    include_prompt: bool = True  # False: `forward` takes the number of first tokens of each row that are not pooled

    def read(self, tokens: Tokens) -> Tokens:
        """The inputs that it takes of the tokens."""
        return replace(tokens, prompt=None) if self.include_prompt else tokens

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row."""
        raise NotImplementedError

    @property
    def beside_weights(self) -> dict[str, Any]:
        """What decides its vectors beside weights and recipe, as a checkpoint's architecture has it."""
        return {}

    def adopt(self, architecture: Mapping[str, Any]) -> None:
        """Take `beside_weights` from a checkpoint, along with its weights."""

    def blocks(self) -> list[nn.Module]:
        """The parts that run one after the other, by which weights are split over devices; empty: as a whole."""
        return []


OF_STATIC = (
    "encoder.lr=auto is for encoder=static alone, whose rates were measured by the length of a run; give a number"
)


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(ABC):
    """Describes the towers without loading anything, so that a whole sweep can be checked before its first job.

    `lr` is the learning rate that suits the encoder, which the optimizer takes unless it is given one, or `auto` where
    it depends on the number of steps (`learning_rate`); `batch_size` is what `batch_size=auto` takes, queries a rank
    and step, where data and memory are enough. `separate` gives queries and documents a tower each, both from the same
    start. `momentum` has training documents embedded by a tower that follows the trained one as its moving average,
    without gradient (see `Towers`). `freeze` may be "document": only queries are trained, and documents keep the
    vectors that they start with. `tokens` is the size of the length-sorted parts in which a training batch is encoded
    ("auto" suits the device, null is one part, see `encode.budget`); with `grad_cache` their activations are computed
    again instead of kept, for batches of thousands in the memory of one part.

    `matryoshka` names widths (or gives each a weight, 1 otherwise) to which embeddings may be cut: the losses are
    summed over them and the full width (Kusupati et al. 2022, arXiv:2205.13147). `normalize` makes embeddings unit
    vectors, at every width.

    What a recipe leaves open (`auto`), `resolved` finds out.

    Raises `ConfigError` for settings out of range, or that exclude each other.
    """

    query: Side = setting(Side(max_length=LENGTHS["query"]), Purpose.QUERIES | Purpose.OPEN)
    document: Side = setting(Side(max_length=LENGTHS["document"]), Purpose.OPEN)
    separate: bool = setting(False, Purpose.QUERIES)
    momentum: float | None = setting(None, Purpose.TRAINING)
    freeze: str | None = setting(None, Purpose.TRAINING)
    lr: float | str = setting(2e-5, Purpose.TRAINING)
    batch_size: int = setting(64, Purpose.TRAINING)
    tokens: int | str | None = setting(AUTO, Purpose.TRAINING)
    grad_cache: bool = setting(False, Purpose.TRAINING)
    matryoshka: Sequence[int] | Mapping[int, float] | None = setting(None, Purpose.TRAINING)
    normalize: bool | str = setting(True, Purpose.OPEN)

    gains_from_bf16: ClassVar[bool] = True
    knows_its_rate: ClassVar[bool] = False  # whether `lr` may be auto

    def __post_init__(self) -> None:
        check_tokens(self.tokens)
        if self.lr == AUTO and not self.knows_its_rate:
            raise ConfigError(OF_STATIC)
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ConfigError(
                f"encoder.batch_size={self.batch_size!r} is a whole number of queries, which batch_size=auto takes"
            )
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
        if not isinstance(self.normalize, bool) and self.normalize != AUTO:
            raise ConfigError(f"encoder.normalize must be true, false or auto, got {self.normalize!r}")
        self.widths()

    @property
    def unit_vectors(self) -> bool:
        """Whether embeddings are unit vectors, as they are unless a recipe or a model's folder says otherwise."""
        return self.normalize is not False

    def learning_rate(self, steps: int) -> float:
        """Return the rate for a run of `steps` optimiser steps, where `lr` is auto; `lr` where it is a number."""
        return float(self.lr)

    @property
    def leaves_open(self) -> bool:
        """Whether a setting that affects the embeddings is `auto`."""
        return self.normalize == AUTO or self.query.open or self.document.open

    def resolved(self) -> EncoderRecipe:
        """Return the recipe with a value for all that it leaves open; reads a model's settings, but no weights."""
        return self.without_open()

    def check_model(self) -> None:  # noqa: B027  # most recipes have no folder to check
        """Raise `ConfigError` for a model whose folder is not there or does not fit; loads no weights, asks no hub."""

    def without_open(self) -> EncoderRecipe:
        """Return the recipe with defaults for what it leaves open: those of a model whose folder says nothing."""
        if not self.leaves_open:
            return self
        query, document = self.query.settled("", LENGTHS["query"]), self.document.settled("", LENGTHS["document"])
        return replace(self, normalize=self.unit_vectors, query=query, document=document)

    def embedding_settings(self) -> dict[str, Any]:
        """The settings that affect an embedding, as plain values."""
        of_training = with_purpose(self, Purpose.TRAINING)
        return {key: value for key, value in asdict(self).items() if key not in of_training}

    @property
    def pools_prompt(self) -> bool:
        """Whether the tokens of a prompt are pooled with the others, once nothing is left open."""
        return True

    @property
    def two_towers(self) -> bool:
        """Whether queries and documents have separate towers."""
        return self.separate or self.freeze is not None

    @property
    def starts_random(self) -> bool:
        """Whether the towers know nothing before they are trained."""
        return False

    def widths(self, dim: int | None = None) -> dict[int, float]:
        """The weight of each width, narrowest first; with the encoder's `dim` also that of the full width.

        Raises `ConfigError` for a width that is not a positive number, or is above `dim`.
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
