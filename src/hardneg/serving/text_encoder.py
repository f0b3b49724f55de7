"""Embedding texts as they come in: users' queries, and a corpus block by block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from hardneg.data.tokens import Tokeniser
from hardneg.data.truncation import Truncation
from hardneg.encoders import checkpoint
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.matrix.embedded import cut
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.system import distributed
from hardneg.system.progress import Progress, silent


class TextEncoder:
    """A trained encoder on a device, for texts instead of tables; `width` cuts embeddings (Matryoshka), null: whole.

    `ckpt_path` is the checkpoint that it was read from, if any. Raises `ConfigError` for a device that is not there,
    and for a width that the encoder does not have.
    """

    def __init__(
        self,
        trained: Trained,
        device: str = "auto",
        precision: str = "auto",
        width: int | None = None,
        ckpt_path: str | None = None,
    ) -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device={device}: there is no GPU that torch can use here; take device=cpu")
        if width is not None and not 1 <= width <= trained.towers.dim:
            raise ConfigError(f"width={width} must be 1 to {trained.towers.dim}, the encoder's own, or null")
        self.device = distributed.device(device)
        self.precision = resolve_precision(precision, trained.recipe, str(self.device))
        self.trained, self.towers = trained, trained.towers.to(self.device).eval()
        self.dim = width or self.towers.dim
        self.ckpt_path = ckpt_path

    @classmethod
    def load(cls, ckpt_path: str | Path, device: str = "auto", precision: str = "auto") -> TextEncoder:
        """Read a checkpoint's encoder."""
        return cls(checkpoint.load(ckpt_path), device, precision, ckpt_path=str(Path(ckpt_path).resolve()))

    def at(self, width: int) -> TextEncoder:
        """Return the same, cut to another width."""
        if width == self.dim:
            return self
        return TextEncoder(self.trained, str(self.device), self.precision, width, self.ckpt_path)

    @cached_property
    def _tokenisers(self) -> dict[str, Tokeniser]:
        recipe, tokenizer = self.trained.recipe, self.trained.tokenizer
        return {QUERY: Tokeniser(tokenizer, recipe.query), DOCUMENT: Tokeniser(tokenizer, recipe.document)}

    def queries(self, texts: Sequence[str]) -> Float32[np.ndarray, "Q D"]:
        """Embed queries."""
        return self.embed(texts, QUERY)

    def documents(self, texts: Sequence[str], bar: Progress | None = None) -> Float32[np.ndarray, "N D"]:
        """Embed documents; `bar` shows the progress, and `truncation` counts what was cut off."""
        return self.embed(texts, DOCUMENT, bar)

    @cached_property
    def truncation(self) -> Truncation:
        """What the maximum length has cut off the documents that were embedded with a bar: a corpus."""
        return Truncation(self.trained.recipe.document.longest)

    def embed(self, texts: Sequence[str], side: str, bar: Progress | None = None) -> Float32[np.ndarray, "N D"]:
        """Embed texts of one side, in their order; the prompt is put in front here."""
        counts = side == DOCUMENT and bar is not None
        table = self._tokenisers[side].table(texts, self.truncation if counts else None)
        rows = np.arange(len(texts))
        found = embed_rows(self.towers, table, side, self.precision, rows, silent() if bar is None else bar)
        if self.dim < self.towers.dim:
            found = cut(found, self.dim, self.towers.normalize)
        return found.cpu().numpy()
