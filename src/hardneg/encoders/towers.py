"""The two towers of a dual encoder, shared or separate."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.encode import budget, encode
from hardneg.encoders.fixed_shapes import Compiler
from hardneg.matrix.batch import Tokens

QUERY, DOCUMENT = "query", "document"


class Towers(nn.Module):
    """Embed queries and documents, with one tower or with two that start from the same weights, as a recipe says.

    With `momentum` m a training batch's documents are embedded without gradient by a slow tower, which moves to m of
    itself and 1 - m of the trained one after each optimiser step (MoCo, arXiv:1911.05722): what a queue holds stays
    comparable. Evaluation, mining and users embed both sides with the trained tower alone (as Contriever does). Its
    weights stay in float32 where the trained ones are held in fewer digits, in which it would hardly move.

    With `freeze` "document" the tower of documents is one of its own and is never trained, so that their vectors stay
    as they are, to the bit, and an index of them stays fresh while queries are trained (ADORE, arXiv:2104.08051).
    """

    def __init__(self, recipe: EncoderRecipe, tower: Tower) -> None:
        super().__init__()
        self.towers = nn.ModuleDict({QUERY: tower})
        if recipe.two_towers:
            self.towers[DOCUMENT] = twin(tower)
        self.frozen = recipe.freeze
        if self.frozen is not None:
            self.towers[self.frozen].requires_grad_(False).eval()
        self.slow = None if recipe.momentum is None else twin(tower).requires_grad_(False)
        self.widths, self.normalize = recipe.widths(tower.dim), tower.normalize
        self.tokens, self.momentum, self.grad_cache = recipe.tokens, recipe.momentum, recipe.grad_cache
        self.compiler: Compiler | None = None  # with one, trained towers run compiled (trainer.compile)

    def train(self, mode: bool = True) -> Towers:
        """Switch dropout and the like on or off, but never on in a frozen tower, whose vectors may be in an index."""
        super().train(mode)
        if self.frozen is not None:
            self.towers[self.frozen].eval()
        return self

    @property
    def dim(self) -> int:
        """The width of the embeddings."""
        return self.tower(QUERY).dim

    def tower(self, side: str) -> Tower:
        """Return the tower of `query` or `document`."""
        return self.towers[side if side in self.towers else QUERY]  # type: ignore[return-value]

    def both(self, queries: Tokens, docs: Tokens) -> tuple[Float[Tensor, "B D"], Float[Tensor, "R D"]]:
        """Embed a batch's queries and documents; a shared tower sorts them together, which fills its parts better."""
        if self.slow is not None:
            with torch.no_grad(), self._as_trained(self.slow):
                slow = self._encode(self.slow, docs)
            return self(queries, QUERY), slow
        if self.frozen is not None:
            with torch.no_grad():
                fixed = self(docs, DOCUMENT)
            return self(queries, QUERY), fixed
        if DOCUMENT in self.towers or self.tokens is None:  # in one part, queries would be padded like documents
            return self(queries, QUERY), self(docs, DOCUMENT)
        together = self(queries.below(docs), QUERY)
        return together[: len(queries)], together[len(queries) :]

    def round_trained(self, dtype: torch.dtype) -> None:
        """Hold the trained towers' weights in this type; a slow tower and a frozen one stay as they are.

        In bfloat16 the slow one would never move, as a thousandth of its way is less than a step of that type, and the
        frozen one's vectors would no longer be those of an index.
        """
        if self.frozen is not None:  # under adapters it shares its weights with the trained one
            self.towers[self.frozen] = copy.deepcopy(self.towers[self.frozen])
        for side, tower in self.towers.items():
            if side != self.frozen:
                tower.to(dtype)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow tower, if there is one, towards the trained one."""
        if self.slow is None or self.momentum is None:
            return
        trained = self.tower(QUERY)
        for ours, theirs in zip(self.slow.parameters(), trained.parameters(), strict=True):
            if ours is not theirs:
                ours.lerp_(theirs.to(ours.dtype), 1 - self.momentum)
        for held, current in zip(self.slow.buffers(), trained.buffers(), strict=True):
            held.copy_(current)

    def _as_trained(self, slow: Tower) -> AbstractContextManager[None]:
        """Let a slow tower, whose weights may be finer than the trained ones, compute in the type of these."""
        trained = next(self.tower(QUERY).parameters())
        if all(own.dtype == trained.dtype for own in slow.parameters()):  # adapters may differ alone
            return nullcontext()
        return torch.autocast(trained.device.type, dtype=trained.dtype)

    def restart_slow(self) -> None:
        """Make the slow tower, if there is one, start from the trained one as it is now."""
        if self.slow is not None:
            self.slow.load_state_dict(self.tower(QUERY).state_dict())

    def forward(self, tokens: Tokens, side: str) -> Float[Tensor, "R D"]:
        """Embed the rows of one side, in float32 whatever the encoder computed in."""
        return self._encode(self.tower(side), tokens)

    def _encode(self, tower: Tower, tokens: Tokens) -> Float[Tensor, "R D"]:
        size = budget(self.tokens, tokens.input_ids.device)
        return encode(tower, tower.read(tokens), size, self.grad_cache, self.compiler).float()


def twin(tower: Tower) -> Tower:
    """Copy a tower; untrained weights, as those under adapters, are shared by both."""
    return copy.deepcopy(tower, {id(p): p for p in tower.parameters() if not p.requires_grad})
