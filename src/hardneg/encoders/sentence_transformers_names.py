"""The names in a sentence-transformers folder: its files, its modules, its poolings; imports nothing."""

from __future__ import annotations

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
# Its name in versions before 3, by the model's class.
TRANSFORMER_NAMES = (
    TRANSFORMER,
    *(f"sentence_{kind}_config.json" for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta")),
    "sentence_xlnet_config.json",
)
ROUTER = "router_config.json"
ROUTER_OF_OLD = "config.json"  # its name in versions before 5, where the module is called Asym
WEIGHTS = "model.safetensors"

POOLING_MODES = {  # encoder.pooling -> pooling_mode
    "mean": "mean",
    "cls": "cls",
    "last": "lasttoken",
    "max": "max",
    "weighted_mean": "weightedmean",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
}
POOLING_FLAGS = {  # how versions before 5.4 write a pooling_mode, one flag each; several are put together in this order
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}

# The modules that we write, by names that every version of sentence-transformers can read.
TYPES = {
    name: f"sentence_transformers.models.{name}"
    for name in ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding", "Router")
}
TOWER_TYPES = ("Transformer", "StaticEmbedding")  # first module of a chain: for a transformer, for a static tower
