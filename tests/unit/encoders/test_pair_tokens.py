"""Pairs of texts as tokens."""

from __future__ import annotations

import pytest
import torch

from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.encode import encode
from hardneg.encoders.pair_tokens import PairTokenizer


def test_pairs_that_are_cut_are_counted_as_a_tokenizer_without_a_limit_counts_them(bert):
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(bert)
    tokens = PairTokenizer(saved, 12)
    queries = ["a b", "a " * 9, "c"]
    docs = ["a b c", "b " * 30, ""]
    kept = tokens(queries, docs)
    saved.backend_tokenizer.no_truncation()
    saved.backend_tokenizer.no_padding()
    whole = [len(saved.backend_tokenizer.encode(q, d)) for q, d in zip(queries, docs, strict=True)]
    cut = tokens.cut
    assert (cut.texts, cut.cut) == (3, sum(n > 12 for n in whole)) == (3, 1)
    assert (cut.before, cut.after) == (sum(whole), int(kept.lengths.sum()))


def test_a_model_with_segments_scores_pairs_as_transformers_does(bert):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=1).eval()
    names = ["input_ids", "token_type_ids", "attention_mask"]  # as those of BERT's own tokenizer
    saved = AutoTokenizer.from_pretrained(bert, model_input_names=names)
    queries, docs = ["a b", "a", "c c c"], ["a b c", "b b b b b b", ""]
    read = saved(queries, docs, padding=True, return_tensors="pt")
    assert read["token_type_ids"].any()
    network = CrossEncoder(model, saved, 64)
    with torch.no_grad():
        expected = model(**read).logits[:, 0]
        torch.testing.assert_close(network(*network.tokens(queries, docs).inputs), expected)
        torch.testing.assert_close(encode(network, network.tokens(queries, docs).to("cpu"), 8), expected)


@pytest.mark.parametrize("said", [None, 0])
def test_a_decoder_scores_a_pair_alike_alone_and_beside_a_longer_one_whatever_its_config_says_of_padding(bert, said):
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    saved = AutoTokenizer.from_pretrained(bert, pad_token="[SEP]")
    config = Qwen2Config(vocab_size=len(saved), num_key_value_heads=2, num_labels=1, pad_token_id=said, **sizes)
    network = CrossEncoder(Qwen2ForSequenceClassification(config).eval(), saved, 64)
    with torch.no_grad():
        both = network(*network.tokens(["a", "b"], ["a b", "a b c d e f"]).inputs)
        alone = network(*network.tokens(["a"], ["a b"]).inputs)
    torch.testing.assert_close(both[:1], alone)
