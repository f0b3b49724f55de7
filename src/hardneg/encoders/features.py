"""A tower over features instead of words: two of them are the two-tower model of recommenders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.data.tables import Texts
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.purposes import Purpose, setting
from hardneg.errors import ConfigError

POOLINGS = ("mean", "sum")
PAD, UNKNOWN = 0, 1  # rows of the table
SPECIAL = ["[PAD]", "[UNK]"]


@dataclass(frozen=True, kw_only=True)
class Features(EncoderRecipe):
    """Recipe of a feature tower (Yi et al. 2019, doi:10.1145/3298689.3346996; Covington et al. 2016, YouTube).

    A text is features with blanks between them, such as `user=17 country=de` or `item=5 genre=sf genre=noir`: each
    distinct one has an embedding of its own, numbers too (cut them into ranges first). They are summed or averaged, and
    an MLP follows where `hidden` names the widths of its inner layers. The corpus and the training queries make the
    vocabulary. A feature outside it counts as [UNK], which is nothing (zero) unless `unknown` is above 0: that share of
    the features is then hidden in training, so that [UNK] learns to stand for the unseen (as in DropoutNet, Volkovs et
    al. 2017).

    Raises `ConfigError` for widths below 1, an unknown pooling, and an `unknown` that is no share.
    """

    dim: int = setting(64, Purpose.START)
    hidden: Sequence[int] = ()
    pooling: str = "mean"
    unknown: float = 0.0
    separate: bool = True
    lr: float | str = 1e-2
    tokens: int | str | None = None

    gains_from_bf16: ClassVar[bool] = False  # the table is all of it, or nearly

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim < 1 or any(width < 1 for width in self.hidden):
            raise ConfigError(f"encoder.dim and encoder.hidden must be positive, got {self.dim} and {self.hidden}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"encoder.pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if not 0 <= self.unknown < 1:
            raise ConfigError(f"encoder.unknown is a share, at least 0 and below 1, got {self.unknown}")
        self.widths(self.dim)

    @property
    def starts_random(self) -> bool:
        """The table is always random at first."""
        return True

    def tokenizer(self, corpus: Texts, queries: Texts | None = None) -> Tokenizer:
        """Number the features of both sides, in alphabetical order."""
        seen: set[str] = set()
        for side in filter(None, (corpus, queries)):
            seen.update(pc.unique(pc.utf8_split_whitespace(side.texts).flatten()).to_pylist())
        names = [*SPECIAL, *sorted(seen - {"", *SPECIAL})]
        tokenizer = Tokenizer(
            models.WordLevel({name: row for row, name in enumerate(names)}, unk_token=SPECIAL[UNKNOWN])
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.enable_padding(pad_id=PAD, pad_token=SPECIAL[PAD])
        return tokenizer

    def build(self, tokenizer: Tokenizer) -> FeatureTower:
        """Make the embedding table and the MLP."""
        return self.rebuild({"rows": tokenizer.get_vocab_size()})

    def architecture(self, tower: Tower) -> dict[str, Any]:
        """The number of features; the widths are in the recipe."""
        return {"rows": int(tower.embedding.num_embeddings)}  # type: ignore[union-attr, arg-type]

    def rebuild(self, architecture: dict[str, Any]) -> FeatureTower:
        """Make a tower for as many features as it had."""
        return FeatureTower(architecture["rows"], self)


class FeatureTower(Tower):
    """Pools the embeddings of a text's features; an MLP may follow."""

    def __init__(self, rows: int, recipe: Features) -> None:
        super().__init__()
        self.dim, self.normalize = recipe.dim, recipe.unit_vectors
        self.pooling, self.unknown = recipe.pooling, recipe.unknown
        self.embedding = nn.Embedding(rows, recipe.dim)
        nn.init.normal_(self.embedding.weight, std=recipe.dim**-0.5)
        with torch.no_grad():
            # A text whose features are all hidden would be a zero vector, whose direction has no bounded gradient.
            self.embedding.weight[: UNKNOWN if recipe.unknown else len(SPECIAL)] = 0.0
        widths = [recipe.dim, *recipe.hidden, recipe.dim] if recipe.hidden else []
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Linear(narrow, wide), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row; in training some features are hidden, where the recipe asks for it."""
        if self.training and self.unknown:
            hidden = torch.rand(input_ids.shape, device=input_ids.device) < self.unknown
            input_ids = input_ids.masked_fill(hidden, UNKNOWN)
        weights = attention_mask.to(self.embedding.weight.dtype)
        if self.pooling == "mean":
            weights = weights / weights.sum(dim=1, keepdim=True)
        pooled = F.embedding_bag(input_ids, self.embedding.weight, mode="sum", per_sample_weights=weights)
        embedded = self.mlp(pooled)
        return F.normalize(embedded, dim=-1) if self.normalize else embedded
