"""Encoders of each kind that an export knows, as configs, and the vectors of their checkpoints."""

from __future__ import annotations

import numpy as np
import torch

from hardneg.data.tokens import TokenTable
from hardneg.encoders import checkpoint
from hardneg.encoders.towers import DOCUMENT, QUERY

SIDE = "hardneg.data.tokens.Side"
SIDES = {
    QUERY: {"_target_": SIDE, "prompt": "ask: ", "max_length": 6},
    DOCUMENT: {"_target_": SIDE, "prompt": "tell: ", "max_length": 9},
}
SAME = {side: {**SIDES[side], "max_length": 7} for side in SIDES}
BERT = {"_target_": "hardneg.encoders.transformer.Transformer", "model": "BERT", "layers": 2}
STATIC = {"_target_": "hardneg.encoders.static.Static", "dim": 8, "vocab_size": 300}
LORA = "hardneg.encoders.lora"
LAYER = {"_target_": "hardneg.encoders.dense_layers.DenseSpec", "in_features": 16, "out_features": 24}
NARROW = {"in_features": 24, "out_features": 24, "bias": False, "activation": "GELU", "residual": True}
NODES = {
    "mean": {**BERT, **SIDES},
    "cls, one length, dot": {**BERT, **SAME, "pooling": "cls", "normalize": False},
    "last, two towers": {**BERT, **SIDES, "pooling": "last", "separate": True},
    "adapters, two towers": {**BERT, **SIDES, "separate": True, "lora": {"_target_": f"{LORA}.LoRA", "r": 2}},
    "dense, two towers": {**BERT, **SIDES, "separate": True, "dense": [LAYER]},
    "a head without its width": {**BERT, **SIDES, "dense": [{"out_features": 5, "activation": "Identity"}]},
    "two poolings, and a head": {**BERT, **SIDES, "pooling": "cls+max", "dense": [{"out_features": 5}]},
    "poolings in an order of ours": {**BERT, **SAME, "pooling": "weighted_mean+mean_sqrt_len+max"},
    "prompts not pooled": {**BERT, **SIDES, "include_prompt": False},
    "two dense, dot": {**BERT, **SAME, "normalize": False, "dense": [LAYER, {**LAYER, **NARROW}]},
    "static": {**STATIC, **SAME},
    "static, frozen documents": {**STATIC, **SAME, "freeze": "document"},
    "static, two lengths, dot": {**STATIC, **SIDES, "normalize": False},
    "static of a transformer, two towers": {**STATIC, **SIDES, "init": "BERT", "separate": True},
}


def vectors(path, data, cache):
    """Our vectors of all queries and documents."""
    loaded = checkpoint.load(path)
    with torch.no_grad():
        for side, texts in ((QUERY, data.queries), (DOCUMENT, data.corpus)):
            table = TokenTable.build(texts, loaded.tokenizer, getattr(loaded.recipe, side), cache, side)
            yield loaded.towers(table.batch(np.arange(len(texts))), side)
