"""A cross-encoder as the teacher: it reads query and document together."""

from __future__ import annotations

import logging
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32

from hardneg.data.truncation import Truncation
from hardneg.encoders.cross_encoder import CrossEncoder, check_classifies, check_pairs_fit
from hardneg.encoders.encode import AUTO
from hardneg.encoders.precision import native_bf16
from hardneg.encoders.pretrained import weights_hash
from hardneg.errors import ConfigError
from hardneg.retrieval.reranker import score_pairs
from hardneg.teachers.network import NetworkTeacher

log = logging.getLogger(__name__)


class CrossEncoderTeacher(NetworkTeacher[CrossEncoder]):
    """Scores pairs by a cross-encoder's logits: a folder (such as `hardneg train-teacher` leaves) or a hub name.

    `max_length` counts the tokens of query and document together; "auto": as the folder was saved, else 256.
    `precision` is "32-true", "bf16-mixed" or "auto". `revision` is that of a hub name, `trust_remote_code` lets a model
    bring its own Python, which is run.

    Raises `ConfigError` for fewer than 8 tokens, a folder that is not there, and a model without a trained classifier.
    """

    def __init__(
        self,
        model: str,
        max_length: int | str = AUTO,
        precision: str = "auto",
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if max_length != AUTO and (isinstance(max_length, str) or max_length < 8):
            raise ConfigError(f"teacher.max_length must be at least 8 tokens, or auto, got {max_length}")
        try:
            check_pairs_fit(model, max_length)
            check_classifies(model)
        except ConfigError as error:
            raise ConfigError(f"teacher: {error}") from error
        self.model, self.max_length, self.precision = model, max_length, precision
        self.revision, self.trust_remote_code = revision, trust_remote_code

    def load(self, device: torch.device) -> CrossEncoder:
        """Load the weights; settle how long pairs are and the precision, where these are auto."""
        network = CrossEncoder.load(
            self.model,
            self.max_length,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
            trained=True,
        )
        if self.max_length == AUTO:
            log.info(
                "teacher %s: pairs of at most %d tokens (teacher.max_length: auto)", self.model, network.max_length
            )
        if self.precision == "auto":
            self.precision = "bf16-mixed" if native_bf16(str(device)) else "32-true"
        return network

    def identity(self) -> dict[str, Any]:
        """Weights, tokenizer, prompt, length and precision."""
        assert self.network is not None, "prepare() comes first"
        return {
            "teacher": "cross_encoder",
            "weights": weights_hash(self.network),
            "tokenizer": blake2b(self.network.tokens.tokenizer.to_str().encode(), digest_size=16).hexdigest(),
            "max_length": self.network.max_length,
            "precision": self.precision,
            # Scores of a version that did not hand these to the model are not taken for its own.
            **({"segments": True} if self.network.tokens.reads_segments else {}),
            **({"prompt": self.network.tokens.prompt} if self.network.tokens.prompt else {}),
        }

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows, by length; NaN for -1."""
        assert self.network is not None, "prepare() comes first"
        return score_pairs(self.network, self.data, queries, docs, self.precision)

    def truncation(self) -> Truncation | None:
        """What `max_length` has cut so far."""
        return None if self.network is None else self.network.tokens.cut
