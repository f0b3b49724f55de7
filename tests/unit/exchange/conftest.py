"""Checkpoints to export."""

from __future__ import annotations

import pytest
import torch

from hardneg.config import classes
from hardneg.encoders import checkpoint
from hardneg.encoders.towers import Towers


@pytest.fixture
def trained(toy, bert, tmp_path):
    """A checkpoint of an encoder whose towers, if there are two, differ."""

    def make(node):
        node = {key: str(bert) if value == "BERT" else value for key, value in node.items()}
        recipe = classes.build(node)
        tokenizer = recipe.tokenizer(toy.corpus)
        towers = Towers(recipe, recipe.build(tokenizer)).eval()
        with torch.no_grad():
            for number, p in enumerate(p for p in towers.parameters() if p.requires_grad):
                p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(number)))
        card = checkpoint.card(node, recipe, tokenizer, towers)
        weights = {f"towers.{k}": v for k, v in towers.state_dict().items()}
        torch.save({"state_dict": weights, checkpoint.KEY: card}, tmp_path / "a.ckpt")
        return tmp_path / "a.ckpt"

    return make
