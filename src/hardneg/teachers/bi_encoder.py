"""A bi-encoder as the teacher: a larger dual encoder than the one in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32

from hardneg.data.tables import RetrievalData
from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, document_blocks
from hardneg.retrieval.model import Model
from hardneg.teachers.base import Teacher
from hardneg.teachers.encoder_choice import EncoderChoice


class BiEncoderTeacher(Teacher):
    """Scores pairs by the similarity of a checkpoint of ours (`ckpt_path`) or of another `encoder`.

    Similarities are multiplied by `scale`: distillation compares them with a temperature of its own.

    Raises `ConfigError` where neither is given.
    """

    def __init__(
        self,
        ckpt_path: str | None = None,
        encoder: EncoderRecipe | None = None,
        precision: str = "auto",
        scale: float = 20.0,
    ) -> None:
        self.source = EncoderChoice(ckpt_path, encoder, precision, who="teacher=bi_encoder")
        if not self.source.chosen:
            raise ConfigError(
                "teacher=bi_encoder needs weights: a checkpoint, as teacher.ckpt_path=FILE, or an encoder, as"
                " +encoder@teacher.encoder=minilm (for negatives.in_batch.teacher write that in place of teacher)"
            )
        self.scale = scale
        self.model: Model | None = None
        self.docs: EmbeddingBlocks | None = None

    def same_as(self, other: object) -> bool:
        """Whether another teacher has the same settings, so that their scores are on one scale."""
        if not isinstance(other, BiEncoderTeacher):
            return False
        described = [(one.source.ckpt_path, one.source.encoder, one.source.precision) for one in (self, other)]
        return described[0] == described[1] and self.scale == other.scale

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Load the weights and tokenise, or bring the weights back to the device."""
        self.model = self.source.model(data, cache, device)

    def open(self, work: Path) -> None:
        """Embed the corpus into `work`, each rank a share; continues an earlier attempt."""
        assert self.model is not None, "prepare() comes first"
        folder = work / "teacher"
        folder.mkdir(parents=True, exist_ok=True)
        self.docs = document_blocks(self.model, np.arange(len(self.model.docs)), folder, "documents (teacher)")

    def put_away(self) -> None:
        """Keep the weights in main memory; the documents' embeddings go with the round's work folder."""
        self.source.put_away()
        self.docs = None

    def identity(self) -> dict[str, Any]:
        """The model's identity, weights included, and the scale."""
        assert self.model is not None, "prepare() comes first"
        return {"teacher": "bi_encoder", "model": self.model.identity(), "scale": self.scale}

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows; NaN for -1.

        Embeds these documents where `open` has not embedded all.
        """
        model = self.model
        assert model is not None, "prepare() comes first"
        rows, columns = np.nonzero(docs >= 0)
        named, place = np.unique(docs[rows, columns], return_inverse=True)  # many queries ask for the same documents
        q = model.embed(QUERY, queries).cpu()
        d = model.embed(DOCUMENT, named).cpu() if self.docs is None else self.docs.take(named)
        scores = np.full(docs.shape, np.nan, np.float32)
        similarities = (q[torch.from_numpy(rows)] * d[torch.from_numpy(place)]).sum(dim=1)
        scores[rows, columns] = (similarities * self.scale).numpy()
        return scores
