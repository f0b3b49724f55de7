"""Padding is told to a model as its tokenizer tells it, and one that cannot be told is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side, Tokeniser
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError

WORDS = ["<pad>", "</s>", "<unk>", *"abcdefghij"]
SIZES = {"vocab_size": len(WORDS), "pad_token_id": 0}
T5 = {"d_model": 16, "d_ff": 32, "d_kv": 8, "num_layers": 1, "num_heads": 2, "eos_token_id": 1, "local_radius": 7}


def saved(folder, model):
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>").save_pretrained(folder)
    model.save_pretrained(folder)
    side = Side("", 64)
    given = {"pooling": "mean", "dense": (), "normalize": True, "query": side, "document": side}
    return Transformer(model=str(folder), include_prompt=True, **given)


@pytest.mark.parametrize("kind", ["local", "transient-global"])
@pytest.mark.parametrize("tokens", [None, 40])
def test_long_t5_gives_a_text_the_same_vector_alone_and_in_a_batch(kind, tokens, tmp_path):
    from transformers import LongT5Config, LongT5EncoderModel

    torch.manual_seed(0)
    config = LongT5Config(**SIZES, **T5, global_block_size=4, encoder_attention_type=kind, decoder_start_token_id=0)
    recipe = saved(tmp_path, LongT5EncoderModel(config))
    tokenizer = recipe.tokenizer(Texts.of([], []))
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    towers.tokens = tokens
    texts = [" ".join(np.random.default_rng(n).choice(list("abcdefghij"), n)) for n in (1, 3, 4, 5, 8, 9, 31, 33)]
    table = Tokeniser(tokenizer, recipe.document).table(texts)
    model = LongT5EncoderModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        found = towers(table.batch(np.arange(len(texts))), "document")
        for row in range(len(texts)):
            ids = table.batch(np.array([row])).input_ids
            alone = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(dim=1)[0]
            torch.testing.assert_close(found[row], alone / alone.norm(), rtol=0, atol=1e-5)


def test_a_model_that_takes_no_mask_is_refused(tmp_path):
    from transformers import FNetConfig, FNetModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32, "max_position_embeddings": 66}
    recipe = saved(tmp_path, FNetModel(FNetConfig(**SIZES, **sizes)))
    with pytest.raises(ConfigError, match=r"is a FNetModel, which takes no attention_mask.*give another model"):
        recipe.build(recipe.tokenizer(Texts.of([], [])))
