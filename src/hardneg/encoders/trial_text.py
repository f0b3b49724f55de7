"""A new tower reads one text, alone and beside padding, so that a model that cannot is refused before any work."""

from __future__ import annotations

import logging
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hardneg.encoders.model_folder import positions_of
from hardneg.encoders.transformer_tower import TransformerTower
from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

TEXT = "how to read a file"
PADDING = 9  # tokens: more than a convolution reaches, and no multiple of a block's length
ON_CPU = (None, "eager", "sdpa")  # implementations of attention that run where a model is loaded; others need a GPU
UNLIKE = 1e-3  # of a vector's length; rounding in float32 is a thousandth of it


@torch.no_grad()
def read_trial_text(name: str, tower: TransformerTower, tokenizer: Tokenizer) -> None:
    """Raise `ConfigError` for a model that gives no vectors of texts alone; warn where padding changes them.

    DPR's classes, CLIP and most pairs of encoder and decoder are such models. FNet's kin that do take a mask, but read
    some padding all the same, are warned of: MobileBERT, ConvBERT, Funnel, Nystromformer, CANINE.
    """
    model: Any = tower.model
    if model.config._attn_implementation not in ON_CPU or hasattr(model, "set_attention_type"):
        return  # the latter is BigBird's, which a first text that is short would turn to full attention for good
    room = positions_of(model.config.to_dict())
    ids = torch.tensor([(tokenizer.encode(TEXT).ids or [0])[: None if room is None else max(room - PADDING, 0)]])
    if not ids.numel():
        return  # no real model has so few positions
    padding = torch.full((1, PADDING), (tokenizer.padding or {}).get("pad_id", 0))
    kind, training = type(model).__name__, tower.training
    try:
        alone = _embed(tower.eval(), ids, 0)
        beside = _embed(tower, torch.cat([ids, padding], dim=1), PADDING)
    except (ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        what = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"the model {name!r} is a {kind}, which gives no vectors of the tokens of a text alone"
            f" ({type(error).__name__}: {what}); give an encoder or a decoder of texts, as AutoModel loads them"
        ) from error
    finally:
        tower.train(training)
    if alone.shape[1] != tower.dim:
        raise ConfigError(
            f"the model {name!r} is a {kind}, whose tokens have {alone.shape[1]} numbers where its config says"
            f" {tower.dim} (hidden_size), and hardneg goes by the latter; give another model"
        )
    if alone.dtype == torch.float32 and (alone - beside).norm() > UNLIKE * alone.norm():
        log.warning(
            "the model %r is a %s, which reads some padding like words: a text's vector depends on how long the texts"
            " beside it are, here as in sentence-transformers; another model has no such noise",
            *(name, kind),
        )


def _embed(tower: TransformerTower, ids: Tensor, padded: int) -> Tensor:
    mask = torch.arange(ids.shape[1])[None] < ids.shape[1] - padded
    found: Tensor = tower(ids, mask)
    return found
