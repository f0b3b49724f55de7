"""A decoder that judges a pair by its next token: how likely it answers yes, the document is relevant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from hardneg.data.truncation import Truncation
from hardneg.encoders.file_hashes import check_hashes
from hardneg.encoders.folder_json import read_json
from hardneg.encoders.model_folder import check_positions, positions_of
from hardneg.encoders.pretrained import check_loaded, loading_arguments, locate, unavailable, without_load_report
from hardneg.errors import ConfigError


class Style(ABC):
    """How a pair is put to a model, and how the logits of the next token make its score.

    `instruction` null is the one that the model was trained with.
    """

    default: str
    answers: tuple[str, ...]  # whose logits are read; each must be one token

    def __init__(self, tokenizer: Any, max_length: int, instruction: str | None) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.instruction = self.default if instruction is None else instruction
        self.answer_ids = [self._answer(word) for word in self.answers]

    def room(self, *around: Sequence[int]) -> int:
        """How many tokens are left for the texts; raises `ConfigError` where there are hardly any."""
        left = self.max_length - sum(map(len, around))
        if left < 8:
            least = self.max_length - left + 8
            raise ConfigError(
                f"teacher.max_length={self.max_length} leaves no room for the texts beside prompt and instruction; set"
                f" it to {least} or more"
            )
        return left

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, without what a tokenizer puts around it."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _answer(self, word: str) -> int:
        ids = self.tokens(word)
        if len(ids) != 1 or ids[0] == self.tokenizer.unk_token_id:
            raise ConfigError(
                f"{word!r} is not one token of the teacher's tokenizer, so the model is not a reranker of this"
                " teacher.style; choose another style or model"
            )
        return ids[0]

    @abstractmethod
    def pair(self, query: str, document: str) -> tuple[list[int], int]:
        """Return the token ids of a pair, at most `max_length`, and how many there would be uncut."""

    @abstractmethod
    def logit(self, answers: Float[Tensor, "B A"]) -> Float[Tensor, " B"]:
        """Score a pair by the logits of the answers; a sigmoid makes it the published probability."""


class Qwen3(Style):
    """Qwen3-Reranker (arXiv:2506.05176): a chat whose answer is yes or no; the score is logit(yes) - logit(no).

    Its sigmoid is the softmax over both that the model card computes. The document's end is cut where the pair is too
    long, the chat's end never.
    """

    default = "Given a web search query, retrieve relevant passages that answer the query"
    answers = ("no", "yes")
    prefix = (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
        ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    )
    suffix = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"

    def __init__(self, tokenizer: Any, max_length: int, instruction: str | None) -> None:
        super().__init__(tokenizer, max_length, instruction)
        self.before, self.after = self.tokens(self.prefix), self.tokens(self.suffix)
        self.left = self.room(self.before, self.after)

    def pair(self, query: str, document: str) -> tuple[list[int], int]:
        """Prefix, instruction, query and document, suffix."""
        body = self.tokens(f"<Instruct>: {self.instruction}\n<Query>: {query}\n<Document>: {document}")
        whole = len(self.before) + len(body) + len(self.after)
        return self.before + body[: self.left] + self.after, whole

    def logit(self, answers: Float[Tensor, "B A"]) -> Float[Tensor, " B"]:
        """How much more likely yes is than no, as log-odds."""
        return answers[:, 1] - answers[:, 0]


class BGE(Style):
    """bge-reranker-v2-gemma (FlagEmbedding's FlagLLMReranker): A, B and a question; the score is the logit of Yes.

    A query may take three quarters of the room, the document the rest; the question at the end is never cut. Not
    for the layerwise and lightweight models (minicpm, gemma2), which read other layers.
    """

    default = (
        "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a"
        " prediction of either 'Yes' or 'No'."
    )
    answers = ("Yes",)

    def __init__(self, tokenizer: Any, max_length: int, instruction: str | None) -> None:
        super().__init__(tokenizer, max_length, instruction)
        self.line = self.tokens("\n")
        self.after = self.line + self.tokens(self.instruction)
        first = tokenizer.bos_token_id
        self.before = [] if first is None or first == tokenizer.pad_token_id else [first]
        self.left = self.room(self.before, self.after, self.line)

    def pair(self, query: str, document: str) -> tuple[list[int], int]:
        """Query, document, question, on a line each."""
        asked, body = self.tokens(f"A: {query}"), self.tokens(f"B: {document}")
        whole = len(self.before) + len(asked) + len(self.line) + len(body) + len(self.after)
        asked = asked[: self.left * 3 // 4]
        body = body[: self.left - len(asked)]
        return self.before + asked + self.line + body + self.after, whole

    def logit(self, answers: Float[Tensor, "B A"]) -> Float[Tensor, " B"]:
        """The logit of Yes."""
        return answers[:, 0]


def check_length(model: str, max_length: int, config: Mapping[str, Any] | None = None) -> None:
    """Raise `ConfigError` where texts may be longer than the model has positions; without its config by its folder."""
    if config is None:
        config = read_json(Path(model) / "config.json") or {}
    check_positions("max_length", max_length, positions_of(config), model)


STYLES: dict[str, type[Style]] = {"qwen3": Qwen3, "bge": BGE}


class LLMReranker(nn.Module):
    """A causal language model that scores pairs in one of the `STYLES`, padded on the left."""

    def __init__(self, model: nn.Module, tokenizer: Any, style: Style) -> None:
        super().__init__()
        self.model, self.saved, self.style = model, tokenizer, style
        self.cut = Truncation(style.max_length)  # of the pairs so far
        self.pad_id = tokenizer.pad_token_id or 0
        # A model with its own code may know neither; only the last column is read in any case.
        takes = signature(model.forward).parameters
        self.takes_positions = "position_ids" in takes
        self.keep = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    @classmethod
    def load(
        cls,
        model: str,
        style: str,
        max_length: int,
        instruction: str | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> LLMReranker:
        """Load a folder or a hub name.

        Raises `ConfigError` if it is not there, is damaged, has positions for fewer tokens, or answers otherwise.
        """
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        try:
            folder = locate(model)
            check_hashes(Path(folder))
            source = loading_arguments(revision, trust_remote_code)
            tokenizer = AutoTokenizer.from_pretrained(folder, **source)
            asked = STYLES[style](tokenizer, max_length, instruction)
            config = AutoConfig.from_pretrained(folder, **source)
            check_length(model, max_length, config.to_dict())
            config.use_cache = False  # no token comes after the answer
            if not torch.cuda.is_available():
                config._attn_implementation = "eager"  # see encoders.transformer_model
            with without_load_report():
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    folder, config=config, dtype=dtype, output_loading_info=True, **source
                )
            network, info = loaded
            check_loaded(model, info, ())
        except (OSError, ValueError) as error:
            raise unavailable(model, error) from error
        return cls(network, tokenizer, asked)

    def forward(self, rows: Sequence[Sequence[int]]) -> Float[Tensor, " B"]:
        """Score pairs, given as token ids, in float32 on the model's device."""
        device = next(self.parameters()).device
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.pad_id)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, width - len(tokens) :] = torch.tensor(tokens)
            mask[row, width - len(tokens) :] = 1
        # Counted without the padding: a score must not depend on what else is in the batch.
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self.takes_positions:
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        logits = self.model(**{key: value.to(device) for key, value in inputs.items()}, **self.keep).logits
        return self.style.logit(logits[:, -1, self.style.answer_ids].float())

    @torch.inference_mode()
    def score(self, queries: Sequence[str], docs: Sequence[str], batch_size: int) -> Float32[np.ndarray, " n"]:
        """Score pairs, those of like length together, `batch_size` at a time."""
        rows = []
        for query, document in zip(queries, docs, strict=True):
            tokens, whole = self.style.pair(query, document)
            self.cut.add(len(tokens), whole)
            rows.append(tokens)
        order = np.argsort([-len(row) for row in rows], kind="stable")
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), batch_size):
            part = order[start : start + batch_size]
            scores[part] = self([rows[row] for row in part]).cpu().numpy()
        return scores
