"""Small decoders with random weights and a tokenizer, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SPECIAL = ["<unk>", "<s>", "</s>"]
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 128, "pad_token_id": 2}
WINDOW = {"sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"]}
KINDS = {  # model type -> settings of its own
    "mistral": {},
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {},
    "gemma3_text": {},
    "mistral with a window": {"sliding_window": 3},
    "qwen3 with windows": {"use_sliding_window": True, "max_window_layers": 0, **WINDOW},
}


def save_decoder(folder: Path, words: list[str], kind: str = "qwen3", bos: bool = False, seed: int = 0) -> Path:
    """Save a random decoder that knows these words, and return its folder."""
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(SPECIAL + words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind.split()[0], vocab_size=len(SPECIAL + words), **{**SIZES, **KINDS[kind]})
    AutoModel.from_config(config).save_pretrained(folder)
    return folder
