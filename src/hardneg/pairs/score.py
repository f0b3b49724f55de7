"""Score: an encoder must find query and document similar."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.pairs.base import Pairs
from hardneg.pairs.by_encoder import ByEncoder


class Score(ByEncoder):
    """Keep a pair of which an encoder's cosine is at least `low` and at most `high`; null: no bound.

    Qwen3-Embedding keeps synthetic pairs above 0.7 (arXiv:2506.05176). Cosines of another encoder lie elsewhere: look
    at the quantiles in the report first.

    Raises `ConfigError` for no bound, and `low` above `high`.
    """

    def __init__(
        self,
        low: float | int | None = 0.7,
        high: float | int | None = None,
        ckpt_path: str | None = None,
        encoder: EncoderRecipe | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__(ckpt_path, encoder, precision)
        if low is None and high is None:
            raise ConfigError("it needs low, high or both")
        if low is not None and high is not None and low > high:
            raise ConfigError(f"low={low} is above high={high}")
        self.low, self.high = low, high

    def limits(self) -> dict[str, Any]:
        """The bounds."""
        return {"low": self.low, "high": self.high}

    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n 1"]:
        """Return each pair's cosine."""
        sides = []
        for side, rows in ((QUERY, pairs.queries), (DOCUMENT, pairs.docs)):
            named, place = np.unique(rows, return_inverse=True)
            vectors = self.model.embed(side, named)
            sides.append(torch.nn.functional.normalize(vectors, dim=1)[torch.from_numpy(place).to(vectors.device)])
        return (sides[0] * sides[1]).sum(dim=1, keepdim=True).cpu().numpy()

    def keep(self, values: Float32[np.ndarray, "n 1"]) -> Bool[np.ndarray, " n"]:
        """Return True between the bounds."""
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        return (values[:, 0] >= low) & (values[:, 0] <= high)

    def told(self, values: Float32[np.ndarray, " 1"]) -> str:
        """Say the cosine."""
        return f"cosine {values[0]:.3f}"
