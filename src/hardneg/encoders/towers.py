"""The two towers of a dual encoder, shared or separate."""

from __future__ import annotations

import copy

from jaxtyping import Float
from torch import Tensor, nn

from hardneg.batch import Tokens
from hardneg.embed import budget, encode
from hardneg.encoders.base import EncoderRecipe, Tower

QUERY, DOCUMENT = "query", "document"


class Towers(nn.Module):
    """Embed queries and documents, with one tower or with two that start from the same weights.

    `tokens` is the size of the length-sorted parts in which a batch is encoded (see `embed.budget`).
    """

    def __init__(self, tower: Tower, separate: bool, tokens: int | str | None) -> None:
        super().__init__()
        self.towers = nn.ModuleDict({QUERY: tower})
        if separate:
            self.towers[DOCUMENT] = copy.deepcopy(tower)
        self.tokens = tokens

    @classmethod
    def of(cls, recipe: EncoderRecipe, tower: Tower) -> Towers:
        """Make the towers that a recipe asks for from one tower."""
        return cls(tower, recipe.separate, recipe.tokens)

    @property
    def dim(self) -> int:
        """The width of the embeddings."""
        return self.tower(QUERY).dim

    def tower(self, side: str) -> Tower:
        """Return the tower of `query` or `document`."""
        return self.towers[side if side in self.towers else QUERY]  # type: ignore[return-value]

    def both(self, queries: Tokens, docs: Tokens) -> tuple[Float[Tensor, "B D"], Float[Tensor, "R D"]]:
        """Embed a batch's queries and documents; a shared tower sorts them together, which fills its parts better."""
        if DOCUMENT in self.towers or self.tokens is None:  # in one part, queries would be padded like documents
            return self(queries, QUERY), self(docs, DOCUMENT)
        together = self(queries.below(docs), QUERY)
        return together[: len(queries)], together[len(queries) :]

    def forward(self, tokens: Tokens, side: str) -> Float[Tensor, "R D"]:
        """Embed the rows of one side, in float32 whatever the encoder computed in."""
        return encode(self.tower(side), tokens, budget(self.tokens, tokens.input_ids.device)).float()
