"""The static tower, from scratch and from a transformer's word embeddings."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from torch.nn import functional as F

from hardneg.data.tokens import Tokeniser
from hardneg.encoders.static import Static, StaticTower, stand_in
from hardneg.errors import ConfigError

TRAIN = """
import sys, pyarrow as pa
from hardneg.data.tables import Texts
from hardneg.encoders.static import Static
texts = sys.stdin.read().split("\\n")
print(Static(vocab_size=300).tokenizer(Texts.of(map(str, range(len(texts))), texts)).to_str())
"""


@pytest.mark.parametrize("normalize", [True, False])
def test_a_row_is_the_mean_of_its_tokens(normalize):
    tower = StaticTower(10, 4, normalize)
    ids, mask = torch.tensor([[3, 5, 0], [7, 1, 2]]), torch.tensor([[True, True, False], [True, True, True]])
    table = tower.embedding.weight
    expected = torch.stack([table[[3, 5]].mean(dim=0), table[[7, 1, 2]].mean(dim=0)])
    torch.testing.assert_close(tower(ids, mask), F.normalize(expected, dim=1) if normalize else expected)


def test_the_trained_tokenizer_is_the_same_in_every_process(toy):
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        input="\n".join(toy.corpus.texts.to_pylist()),
        env={**os.environ, "PYTHONHASHSEED": "7", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == Static(vocab_size=300).tokenizer(toy.corpus).to_str()


def test_the_trained_tokenizer_lowers_case_pads_with_0_and_knows_unknown_words(toy):
    recipe = Static(vocab_size=300)
    tokenizer = recipe.tokenizer(toy.corpus)
    assert tokenizer.token_to_id("[PAD]") == 0 == tokenizer.padding["pad_id"]
    assert tokenizer.get_vocab_size() <= 300
    word = toy.corpus[0].split()[0]
    assert tokenizer.encode(word).ids == tokenizer.encode(word.upper()).ids
    assert tokenizer.encode("漢").tokens == ["[UNK]"]
    assert recipe.build(tokenizer).embedding.weight.shape == (tokenizer.get_vocab_size(), 256)


def test_init_from_a_transformer_takes_its_word_embeddings_and_its_words(bert, toy):
    from transformers import AutoModel, AutoTokenizer

    recipe = Static(init=str(bert))
    tokenizer = recipe.tokenizer(toy.corpus)
    tower = recipe.build(tokenizer)
    torch.testing.assert_close(
        tower.embedding.weight, AutoModel.from_pretrained(bert).get_input_embeddings().weight, rtol=0, atol=0
    )
    assert tower.dim == 16 and tower.embedding.weight.requires_grad
    text = toy.queries[0]
    assert (
        tokenizer.encode(text).ids == AutoTokenizer.from_pretrained(bert)(text, add_special_tokens=False)["input_ids"]
    )


def test_rebuild_makes_the_same_shape():
    recipe = Static(dim=8)
    tower = StaticTower(12, 8, True)
    assert recipe.architecture(tower) == {"rows": 12, "dim": 8}
    recipe.rebuild(recipe.architecture(tower)).load_state_dict(tower.state_dict())


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"vocab_size": 10}])
def test_wrong_arguments_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Static(**wrong)


@pytest.mark.parametrize("normalize", [True, False])
def test_a_text_without_a_token_is_the_zero_vector_and_all_others_are_as_they_were(normalize, toy):
    recipe = Static(dim=8, vocab_size=300, normalize=normalize)
    tokenizer = recipe.tokenizer(toy.corpus)
    tower = recipe.build(tokenizer)
    texts = ["", toy.corpus[0], " ", toy.corpus[1]]
    tokens = Tokeniser(tokenizer, recipe.document).table(texts).batch(np.arange(4))
    found = tower(*tokens.inputs[:2])
    assert found[[0, 2]].abs().sum() == 0
    before = StaticTower(*tower.embedding.weight.shape, normalize)  # averages all tokens
    before.load_state_dict(tower.state_dict())
    torch.testing.assert_close(found[[1, 3]], before(*tokens.inputs[:2])[[1, 3]], rtol=0, atol=0)
    found.sum().backward()
    assert tower.embedding.weight.grad.isfinite().all()
    again = recipe.rebuild(recipe.architecture(tower))
    again.load_state_dict(tower.state_dict())
    torch.testing.assert_close(again(*tokens.inputs[:2]), found, rtol=0, atol=0)


def test_the_first_word_of_a_vocabulary_is_a_word_where_no_padding_has_its_place():
    words = Tokenizer(models.WordLevel({"!": 0, "a": 1}, unk_token="a"))
    assert stand_in(words) is None
    assert stand_in(Tokenizer(models.WordLevel({"<s>": 0, "a": 1}, unk_token="a"))) == 0
    words.add_special_tokens(["!"])
    assert stand_in(words) == 0
    unknown = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    assert stand_in(unknown) is None, "a text of one unknown word is not one without words"
