"""A bi-encoder as the teacher: a larger dual encoder than the one in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from hardneg.data.tables import RetrievalData
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.mining.dense import Dense
from hardneg.mining.teacher import Teacher
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.retrieval.model import Model
from hardneg.system.progress import progress, silent


class BiEncoderTeacher(Teacher):
    """Scores pairs by the similarity of a checkpoint of ours (`ckpt_path`) or of another `encoder`.

    Similarities are multiplied by `scale`: distillation compares them with a temperature of its own.
    """

    def __init__(
        self,
        ckpt_path: str | None = None,
        encoder: EncoderRecipe | None = None,
        precision: str = "auto",
        scale: float = 20.0,
    ) -> None:
        self.source = Dense(ckpt_path, encoder, precision)
        if self.source.follows_model:
            raise ConfigError("teacher=bi_encoder needs teacher.ckpt_path or teacher.encoder")
        self.scale = scale
        self.model: Model | None = None
        self.docs: Float[Tensor, "N D"] | None = None

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Load the weights and tokenise."""
        if self.model is None:
            self.model = self.source.ready(data, None, cache, device).model

    def identity(self) -> dict[str, Any]:
        """The model's identity, weights included, and the scale."""
        assert self.model is not None, "prepare() comes first"
        return {"teacher": "bi_encoder", "model": self.model.identity(), "scale": self.scale}

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows; NaN for -1. The first call embeds the corpus."""
        model = self.model
        assert model is not None, "prepare() comes first"
        # Each rank on its own: they score different blocks.
        if self.docs is None:
            with progress(len(model.docs), "embed documents (teacher)", "documents") as bar:
                rows = np.arange(len(model.docs))
                self.docs = embed_rows(model.towers, model.docs, DOCUMENT, model.precision, rows, bar).cpu()
        q = embed_rows(model.towers, model.queries, QUERY, model.precision, queries, silent()).cpu()
        scores = torch.einsum("qd,qkd->qk", q, self.docs[torch.from_numpy(docs).long()]) * self.scale
        return np.where(docs >= 0, scores.numpy(), np.nan).astype(np.float32)
