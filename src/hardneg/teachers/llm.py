"""A large language model as the teacher: a decoder-only reranker that answers yes or no."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int32

from hardneg.data.truncation import Truncation
from hardneg.encoders.llm_reranker import STYLES, LLMReranker, check_length
from hardneg.encoders.precision import native_bf16
from hardneg.encoders.pretrained import check_folder, weights_hash
from hardneg.errors import ConfigError
from hardneg.retrieval.embed_tables import autocast
from hardneg.teachers.network import NetworkTeacher

PRECISIONS = ("auto", "32-true", "bf16-mixed", "bf16-true")


class LLMTeacher(NetworkTeacher[LLMReranker]):
    """Scores pairs by the logits of yes and no: a folder or a hub name of a causal language model.

    `style` is how pairs are put to it: "qwen3" (Qwen3-Reranker), "bge" (bge-reranker-v2-gemma), see
    `encoders.llm_reranker`. `instruction` takes the place of the one that it was trained with (null). `max_length`
    counts all tokens, prompt included; `batch_size` pairs are scored at a time, which changes no score. With
    `probability` scores are from 0 to 1, as the model cards print them; without it the logits, which distillation
    wants. `precision` "bf16-true" also holds the weights in bfloat16; "auto" takes it where the device computes it,
    else "32-true". `revision` is that of a hub name, `trust_remote_code` lets a model bring its own Python, which is
    run.

    Raises `ConfigError` for another `style` or `precision`, numbers below their minimum, and a folder that is not
    there.
    """

    def __init__(
        self,
        model: str,
        style: str,
        instruction: str | None = None,
        max_length: int = 1024,
        batch_size: int = 16,
        probability: bool = False,
        precision: str = "auto",
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        if style not in STYLES:
            raise ConfigError(f"teacher.style={style!r} must be one of {', '.join(STYLES)}")
        for key, value, least in (("max_length", max_length, 16), ("batch_size", batch_size, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"teacher.{key}={value!r} must be a whole number, {least} or more")
        if precision not in PRECISIONS:
            raise ConfigError(f"teacher.precision={precision!r} must be one of {', '.join(PRECISIONS)}")
        try:
            check_folder(model)
            check_length(model, max_length)
        except ConfigError as error:
            raise ConfigError(f"teacher: {error}") from error
        self.model, self.style, self.instruction = model, style, instruction
        self.max_length, self.batch_size, self.probability = max_length, batch_size, probability
        self.precision, self.revision, self.trust_remote_code = precision, revision, trust_remote_code

    def load(self, device: torch.device) -> LLMReranker:
        """Load the weights, in the precision that the device computes where that is auto."""
        if self.precision == "auto":
            self.precision = "bf16-true" if native_bf16(str(device)) else "32-true"
        dtype = "bfloat16" if self.precision == "bf16-true" else "float32"
        return LLMReranker.load(
            *(self.model, self.style, self.max_length, self.instruction, dtype),
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
        )

    def identity(self) -> dict[str, Any]:
        """Weights, tokenizer, what is asked and how, length and precision."""
        assert self.network is not None, "prepare() comes first"
        tokenizer = self.network.saved.backend_tokenizer.to_str()
        return {
            "teacher": "llm",
            "weights": weights_hash(self.network),
            "tokenizer": blake2b(tokenizer.encode(), digest_size=16).hexdigest(),
            "style": self.style,
            "instruction": self.network.style.instruction,
            "max_length": self.max_length,
            "probability": self.probability,
            "precision": self.precision,
        }

    def score(self, queries: Int32[np.ndarray, " Q"], docs: Int32[np.ndarray, "Q K"]) -> Float32[np.ndarray, "Q K"]:
        """Score each query row against its document rows; NaN for -1."""
        assert self.network is not None, "prepare() comes first"
        rows, columns = np.nonzero(docs >= 0)
        scores = np.full(docs.shape, np.nan, np.float32)
        if len(rows):
            asked, read = self.data.queries.take(queries[rows]), self.data.corpus.take(docs[rows, columns])
            with autocast(self.precision, next(self.network.parameters()).device):
                found = self.network.score(asked, read, self.batch_size)
            scores[rows, columns] = 1 / (1 + np.exp(-found)) if self.probability else found
        return scores

    def truncation(self) -> Truncation | None:
        """What `max_length` has cut so far."""
        return None if self.network is None else self.network.cut
