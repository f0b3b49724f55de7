"""What makes a tower of a decoder: a last token that has read the text, or attention in both directions."""

from __future__ import annotations

import json
from typing import Any

import torch
from tokenizers import Tokenizer

from hardneg.errors import ConfigError


def append_eos(tokenizer: Tokenizer, eos: str | None, model: str) -> Tokenizer:
    """Make every text end with the end-of-text token (E5-mistral, arXiv:2401.00368), also when it is cut.

    A tokenizer that ends texts with a token of its own (Qwen3-Embedding) is left as it is. Raises `ConfigError` if
    there is no such token.
    """
    if tokenizer.encode("a").ids[-1:] != tokenizer.encode("a", add_special_tokens=False).ids[-1:]:
        return tokenizer
    if eos is None:
        raise ConfigError(
            f"encoder.append_eos=true, but the tokenizer of {model!r} has no end-of-text token; set it to false"
        )
    # Through its JSON: of two templates in a row the library uses only the first, so the one that puts a token in front
    # is extended instead.
    written = json.loads(tokenizer.to_str())
    steps = _steps(written["post_processor"])
    templates = [step for step in steps if step["type"] == "TemplateProcessing"]
    if not templates:
        templates = [{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": []}]
        steps += templates
    templates[-1]["single"].append({"SpecialToken": {"id": eos, "type_id": 0}})
    token = {"id": eos, "ids": [tokenizer.token_to_id(eos)], "tokens": [eos]}
    templates[-1].setdefault("special_tokens", {})[eos] = token
    written["post_processor"] = {"type": "Sequence", "processors": steps}
    return Tokenizer.from_str(json.dumps(written))


def _steps(processor: dict[str, Any] | None) -> list[dict[str, Any]]:
    if processor is None:
        return []
    return processor["processors"] if processor["type"] == "Sequence" else [processor]


def attend_both_ways(model: Any) -> None:
    """Let every token see those after it too (LLM2Vec, arXiv:2404.05961; NV-Embed, arXiv:2405.17428).

    A sliding window remains, on both sides. Raises `ConfigError` if the model is as causal as before: some
    implementations, and older versions of transformers (5.0 too), do not read the setting.
    """
    mark_both_ways(model)
    if not _sees_what_comes_later(model):
        raise ConfigError(
            f"encoder.bidirectional=true has no effect on a {type(model).__name__} with this version of transformers;"
            " update it (5.23 does it, 5.0 not), or set it to false"
        )


def mark_both_ways(model: Any) -> None:
    """Set what transformers makes its masks from, and what its kernels read where there is no mask."""
    model.config.is_causal = False
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False


@torch.no_grad()
def _sees_what_comes_later(model: Any) -> bool:
    ids = torch.tensor([[1, 2], [1, 3]])
    hidden = model(input_ids=ids, attention_mask=torch.ones_like(ids, dtype=torch.bool)).last_hidden_state
    return not torch.equal(hidden[0, 0], hidden[1, 0])
