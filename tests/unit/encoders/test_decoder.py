"""Decoders as towers, on small random ones of each kind."""

from __future__ import annotations

import functools

import pytest
import torch
from decoders import KINDS, save_decoder
from tokenizers import Tokenizer, models, processors
from torch.nn import functional as F

from hardneg.data.tokens import Side
from hardneg.encoders.decoder import append_eos
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.testing.synthetic import make_texts

WORDS = ["a", "b", "c", "d", "e", "f", "g"]
EOS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return functools.cache(lambda kind, bos: save_decoder(tmp_path_factory.mktemp("decoder"), WORDS, kind, bos))


@pytest.fixture
def make(folder, tokens_of):
    """A tower of a random decoder, and some tokens."""

    def build(kind="qwen3", texts=("a b c d e f g", "b c", "d"), bos=False, length=128, **settings):
        settings = {"pooling": "last", "append_eos": True, "document": Side(max_length=length), **settings}
        recipe = Transformer(model=str(folder(kind, bos)), **settings)
        tokenizer = recipe.tokenizer(make_texts(texts))
        return recipe.build(tokenizer).eval(), tokens_of(recipe, list(texts), tokenizer)

    return build


def hidden(tower, ids):
    ids = torch.tensor(ids)
    return tower.model(input_ids=ids, attention_mask=torch.ones_like(ids, dtype=torch.bool)).last_hidden_state


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("length", [128, 4])
def test_every_text_ends_with_eos_however_short_it_is_cut(make, bos, length):
    _, tokens = make(bos=bos, length=length)
    start = [1] if bos else []
    whole = [[*start, 3, 4, 5, 6, 7, 8, 9], [*start, 4, 5], [*start, 6]]
    for row, ids in enumerate(whole):
        assert tokens.input_ids[row, : tokens.lengths[row]].tolist() == [*ids[: length - 1], EOS]


def test_it_goes_behind_what_a_byte_level_tokenizer_does():
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "</s>": 2}, unk_token="<unk>"))
    tokenizer.post_processor = processors.ByteLevel()
    assert append_eos(tokenizer, "</s>", "some").encode("a").ids == [1, 2]


def test_a_tokenizer_that_appends_a_token_itself_is_left_alone(tmp_path):
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    folder = save_decoder(tmp_path, WORDS)
    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.backend_tokenizer.post_processor = TemplateProcessing("$A <s>", None, [("<s>", 1)])
    theirs.save_pretrained(folder)
    assert Transformer(model=str(folder), append_eos=True).tokenizer(make_texts(["b"])).encode("b").ids == [4, 1]


def test_without_an_eos_there_is_nothing_to_append():
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    with pytest.raises(ConfigError, match=r"append_eos=true.*'some' has no end-of-text token"):
        append_eos(tokenizer, None, "some")


# Gemma 2 caps its scores, which sdpa cannot.
CASES = [(kind, how) for kind in KINDS for how in ("eager", "sdpa") if (kind, how) != ("gemma2", "sdpa")]


@pytest.mark.parametrize(("kind", "attention"), CASES)
def test_bidirectional_lets_earlier_tokens_see_later_ones_and_nothing_else_does(make, kind, attention):
    for both in (False, True):
        tower, _ = make(kind, bidirectional=both, attention=attention)
        one, other = hidden(tower, [[3, 4, 5, 6]]), hidden(tower, [[3, 4, 7, 6]])
        assert torch.equal(one[0, :2], other[0, :2]) is not both, "a later token changes an earlier one's state"


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("kind", "attention"), CASES)
def test_padding_changes_nothing(make, kind, both, attention):
    tower, tokens = make(kind, bidirectional=both, attention=attention)
    together = tower(tokens.input_ids, tokens.attention_mask)
    for row in range(3):
        alone = tokens.part(torch.tensor([row]))
        torch.testing.assert_close(tower(alone.input_ids, alone.attention_mask)[0], together[row])


def test_a_window_stays_to_both_sides(make):
    tower, _ = make("mistral with a window", bidirectional=True, layers=1)
    near, far = [[3, 4, 9, 4, 5, 6]], [[3, 4, 5, 4, 5, 9]]
    start = hidden(tower, [[3, 4, 5, 4, 5, 6]])[0, 0]
    assert not torch.equal(hidden(tower, near)[0, 0], start)
    torch.testing.assert_close(hidden(tower, far)[0, 0], start)


def test_bidirectional_without_effect_is_refused(make, monkeypatch):
    monkeypatch.setattr("hardneg.encoders.decoder.mark_both_ways", lambda model: None)
    with pytest.raises(ConfigError, match=r"bidirectional=true has no effect on a Qwen3Model"):
        make(bidirectional=True)


def test_the_embedding_is_the_last_tokens_state(make):
    tower, tokens = make()
    ids = tokens.input_ids[1, : tokens.lengths[1]]
    assert ids[-1] == EOS
    torch.testing.assert_close(
        tower(tokens.input_ids, tokens.attention_mask)[1], F.normalize(hidden(tower, [ids.tolist()])[0, -1], dim=0)
    )


def test_every_parameter_gets_a_gradient(make):
    tower, tokens = make(pooling="latent_attention", bidirectional=True)
    tower(tokens.input_ids, tokens.attention_mask)[:, 0].sum().backward()
    assert not [name for name, p in tower.named_parameters() if p.grad is None], "DDP refuses unused parameters"
