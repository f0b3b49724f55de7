"""Which class of transformers embeds texts: `AutoModel`'s, or for T5 and its kin the encoder without the decoder."""

from __future__ import annotations

import logging
import re
from typing import Any

from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

# `AutoModel` makes both halves of these, and the decoder would want texts of its own. sentence-transformers loads the
# encoders too (GTR, Sentence-T5, INSTRUCTOR); of other pairs, such as BART's, it runs both halves on the same text.
ENCODERS = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
}
DROPOUT = re.compile(
    r"(?!classif|seq_classif|qa_|summary_|pooler_)(\w*_)?(dropout(_prob|_rate)?|pdrop)"
)  # without those of heads


def text_model(config: Any) -> Any:
    """Return the class of a model of this config that takes texts and gives a vector for each token."""
    import transformers

    return getattr(transformers, ENCODERS.get(config.model_type, "AutoModel"))


def new_text_model(config: Any, trust_remote_code: bool) -> Any:
    """Make a model of this config with random weights."""
    kind = text_model(config)
    if config.model_type in ENCODERS:
        return kind(config)
    return kind.from_config(config, trust_remote_code=trust_remote_code)


def text_part(model: Any) -> Any:
    """Return the text model of one that reads images too (Gemma 3, Qwen-VL), and others as they are.

    It gives texts the same vectors. The rest would get no gradient, which DDP refuses, and an export would want a
    processor of images.
    """
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    part = getattr(model, "language_model", None)
    if part is None or getattr(getattr(part, "config", None), "model_type", None) not in MODEL_MAPPING_NAMES:
        return model
    part.config.use_cache = False
    return part


def check_layers(layers: int | None) -> None:
    """Raise `ConfigError` for what `keep_layers` cannot take; null keeps all."""
    if layers is not None and layers < 1:
        raise ConfigError(f"encoder.layers must be at least 1 or null, got {layers}")


def keep_layers(config: Any, layers: int, model: str) -> None:
    """Cut a config to its model's first `layers` layers; raises `ConfigError` where the model has fewer."""
    text = config.get_text_config()
    if layers > text.num_hidden_layers:
        raise ConfigError(f"encoder.layers={layers}, but {model!r} has {text.num_hidden_layers}")
    text.num_hidden_layers = layers
    for key, kinds in list(vars(text).items()):
        if key.endswith("layer_types") and kinds:  # of each layer: transformers refuses another number of them
            setattr(text, key, kinds[:layers])


def save_activations(model: Any) -> None:
    """Make a model compute its layers again in the backward pass; raises `ConfigError` for one that cannot."""
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"encoder.gradient_checkpointing=true: transformers has none for a {type(model).__name__}; set it to false,"
            " and encoder.grad_cache=true where memory is short"
        )
    model.activation_checkpointing_enable({"use_reentrant": False})


def set_dropout(config: Any, share: float) -> None:
    """Set every dropout of units that a config names, but not of whole layers or heads; warns where it names none."""
    known = [key for key, value in vars(config).items() if DROPOUT.fullmatch(key) and _is_share(value)]
    for key in known:
        setattr(config, key, share)
    if not known:
        log.warning("encoder.dropout=%g changes nothing: a %s config names no dropout", share, config.model_type)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
