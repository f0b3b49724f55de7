"""What a sentence-transformers folder consists of, in the words of both sides."""

from __future__ import annotations

# The modules that we have. These names are those that every version of sentence-transformers reads.
TYPES = {
    name: f"sentence_transformers.models.{name}"
    for name in ("Transformer", "Pooling", "Normalize", "StaticEmbedding", "Router")
}
POOLING_MODES = {"mean": "mean", "cls": "cls", "last": "lasttoken"}  # encoder.pooling -> pooling_mode
POOLING_FLAGS = {  # how versions before 5.4 write a pooling_mode, one flag each
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
ROUTER = "router_config.json"
WEIGHTS = "model.safetensors"
