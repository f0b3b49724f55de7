"""A frozen document tower keeps its vectors to the bit, whatever the queries learn."""

from __future__ import annotations

import pytest
import torch

from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError


def trained(recipe, texts, tokens_of, steps=3):
    """Towers before and after some steps of a made-up loss, with weight decay; returns embeddings of both sides."""
    tokenizer = recipe.tokenizer(texts)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(tokenizer)).train()
    tokens = tokens_of(recipe, texts.take(range(6)), tokenizer)
    optimizer = torch.optim.AdamW([p for p in towers.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)

    def embedded():
        with torch.no_grad():
            return {side: towers.eval()(tokens, side) for side in (QUERY, DOCUMENT)}

    before, hashed = embedded(), weights_hash(towers.tower(DOCUMENT))
    for _ in range(steps):
        towers.train()
        q, d = towers.both(tokens, tokens)
        assert torch.equal(d, before[DOCUMENT]) and not d.requires_grad, "training sees what an index holds"
        optimizer.zero_grad()
        (q @ d.T).diagonal().sum().backward()
        optimizer.step()
    assert weights_hash(towers.tower(DOCUMENT)) == hashed
    return before, embedded()


@pytest.mark.parametrize("separate", [False, True])
def test_documents_stay_to_the_bit_and_queries_change(toy, tokens_of, separate):
    recipe = Static(dim=8, vocab_size=300, freeze="document", separate=separate, grad_cache=True, tokens=20)
    before, after = trained(recipe, toy.corpus, tokens_of)
    assert torch.equal(before[QUERY], before[DOCUMENT]), "both start from the same"
    assert torch.equal(before[DOCUMENT], after[DOCUMENT])
    assert not torch.equal(before[QUERY], after[QUERY])


@pytest.mark.parametrize("lora", [None, 2])
def test_a_frozen_transformer_has_no_dropout_and_adapters_go_to_queries_alone(toy, bert, tokens_of, lora):
    from hardneg.encoders.lora import LoRA

    recipe = Transformer(model=str(bert), dropout=0.5, freeze="document", lora=LoRA(r=lora))
    before, after = trained(recipe, toy.corpus, tokens_of)
    assert torch.equal(before[DOCUMENT], after[DOCUMENT])
    assert not torch.equal(before[QUERY], after[QUERY])


def test_what_cannot_work_is_refused():
    with pytest.raises(ConfigError, match="momentum moves the documents"):
        Static(freeze="document", momentum=0.9)
    with pytest.raises(ConfigError, match=r"freeze must be document, or null for none, got 'query'"):
        Static(freeze="query")
