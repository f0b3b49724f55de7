"""A cross-encoder as the teacher: it reads query and document together."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32

from hardneg.data.tables import RetrievalData
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.precision import native_bf16
from hardneg.encoders.pretrained import check_folder, weights_hash
from hardneg.errors import ConfigError
from hardneg.mining.teacher import Teacher
from hardneg.retrieval.reranker import score_pairs
from hardneg.system import distributed


class CrossEncoderTeacher(Teacher):
    """Scores pairs by a cross-encoder's logits: a folder (such as `hardneg train-teacher` leaves) or a hub name.

    `max_length` counts the tokens of query and document together. `precision` is "32-true", "bf16-mixed" or "auto".
    """

    def __init__(self, model: str, max_length: int = 256, precision: str = "auto") -> None:
        if max_length < 8:
            raise ConfigError(f"teacher.max_length must be at least 8 tokens, got {max_length}")
        check_folder(model)
        self.model, self.max_length, self.precision = model, max_length, precision
        self.network: CrossEncoder | None = None

    def prepare(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Load the weights, or bring them back to the device."""
        self.data = data
        where = distributed.device(device)
        if self.network is not None:
            self.network.to(where)
        else:
            with torch.random.fork_rng(devices=[]):  # a fresh classifier must not change how training starts
                torch.manual_seed(0)
                self.network = CrossEncoder.load(self.model, self.max_length).to(where).eval()
            if self.precision == "auto":
                self.precision = "bf16-mixed" if native_bf16(str(where)) else "32-true"

    def put_away(self) -> None:
        """Keep the weights in main memory."""
        if self.network is not None:
            self.network.cpu()

    def identity(self) -> dict[str, Any]:
        """Weights, tokenizer, length and precision."""
        assert self.network is not None, "prepare() comes first"
        return {
            "teacher": "cross_encoder",
            "weights": weights_hash(self.network),
            "tokenizer": blake2b(self.network.tokens.tokenizer.to_str().encode(), digest_size=16).hexdigest(),
            "max_length": self.max_length,
            "precision": self.precision,
        }

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows, by length; NaN for -1."""
        assert self.network is not None, "prepare() comes first"
        return score_pairs(self.network, self.data, queries, docs, self.precision)
