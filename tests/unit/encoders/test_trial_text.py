"""Models that do not read a text alone, or read padding, are known before any work is done with them."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers

from hardneg.data.tables import Texts
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError

NO_TEXTS = Texts.of([], [])
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
BERT = {**SIZES, "max_position_embeddings": 64}


@pytest.fixture
def build(bert, tmp_path):
    """Build the tower of a model whose config, made of this, stands beside the tiny BERT's tokenizer."""
    folder = shutil.copytree(bert, tmp_path / "model")

    def make(kind, config, **settings):
        torch.manual_seed(0)
        words = len(transformers.AutoTokenizer.from_pretrained(bert))
        model = getattr(transformers, kind)(getattr(transformers, config)(vocab_size=words, **settings))
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(std=0.3)
        model.save_pretrained(folder)
        recipe = Transformer(model=str(folder)).without_open()
        return recipe, recipe.build(recipe.tokenizer(NO_TEXTS))

    return make


def test_a_model_whose_output_has_no_tokens_is_refused(build):
    with pytest.raises(
        ConfigError, match=r"a DPRQuestionEncoder, which gives no vectors of the tokens .*; give an enc"
    ):
        build("DPRQuestionEncoder", "DPRConfig", **BERT)


def test_a_pair_of_encoder_and_decoder_that_wants_a_second_text_is_refused(build):
    layers = {f"{half}_{key}": 2 for half in ("encoder", "decoder") for key in ("layers", "attention_heads")}
    sizes = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64}
    with pytest.raises(ConfigError, match="a M2M100Model, which gives no vectors of the tokens of a text alone"):
        build("M2M100Model", "M2M100Config", **layers, **sizes)


def test_a_model_whose_tokens_have_another_width_than_its_config_says_is_refused(build):
    """Such as opt-350m; the first batch failed over its shape."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32}
    with pytest.raises(ConfigError, match=r"an? OPTModel, whose tokens have 8 numbers where its config says 16"):
        build("OPTModel", "OPTConfig", word_embed_proj_dim=8, **sizes)


def test_a_model_that_reads_padding_is_told_of_and_bert_is_not(build, caplog):
    build("ConvBertModel", "ConvBertConfig", embedding_size=16, **BERT)
    assert "is a ConvBertModel, which reads some padding like words" in caplog.text
    caplog.clear()
    _, tower = build("BertModel", "BertConfig", **BERT)
    assert not caplog.text and tower.training


def test_a_model_that_calls_its_pooler_anyway_has_vectors(build):
    recipe, tower = build("SqueezeBertModel", "SqueezeBertConfig", embedding_size=16, **BERT)
    ids = torch.tensor([[4, 5, 6]])
    with torch.no_grad():
        vectors = tower.eval()(ids, ids > 0)
        whole = transformers.AutoModel.from_pretrained(recipe.model).eval()
        expected = whole(ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1)
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(expected, dim=1), rtol=0, atol=1e-5)
    assert not [name for name, _ in tower.named_parameters() if "pooler" in name], "it would get no gradient"


def test_code_that_a_folder_brings_and_that_is_not_run_is_told_of(bert, tmp_path, caplog):
    """gte-Qwen2's is of a type that transformers has, so that its own model was taken in silence."""
    folder = shutil.copytree(bert, tmp_path / "own")
    about = json.loads((folder / "config.json").read_text())
    about["auto_map"] = {"AutoModel": "modeling_own.BertModel"}
    (folder / "config.json").write_text(json.dumps(about))
    recipe = Transformer(model=str(folder)).without_open()
    recipe.build(recipe.tokenizer(NO_TEXTS))
    assert "its own code (modeling_own.BertModel), which is not run: transformers' BertModel is used" in caplog.text


def test_segments_that_a_tokenizer_gives_the_tokens_of_one_text_are_told_of(bert, tmp_path, caplog):
    """XLNet's last token has one of its own, which sentence-transformers gives its model."""
    folder = shutil.copytree(bert, tmp_path / "xlnet")
    words = json.loads((folder / "tokenizer.json").read_text())
    words["post_processor"]["single"][-1]["SpecialToken"]["type_id"] = 2
    (folder / "tokenizer.json").write_text(json.dumps(words))
    about = json.loads((folder / "tokenizer_config.json").read_text())
    for inputs, said in ((["input_ids", "attention_mask"], False), (["input_ids", "token_type_ids"], True)):
        (folder / "tokenizer_config.json").write_text(json.dumps(about | {"model_input_names": inputs}))
        Transformer(model=str(folder)).without_open().tokenizer(NO_TEXTS)
        assert ("into another segment (token_type_ids)" in caplog.text) is said


def test_a_model_of_few_positions_reads_what_fits(build):
    _, tower = build("BertModel", "BertConfig", **{**SIZES, "max_position_embeddings": 12})
    assert tower.dim == 16
    build("BertModel", "BertConfig", **{**SIZES, "max_position_embeddings": 8})


def test_a_pooler_is_left_out_but_where_it_is_called_unasked(build):
    """Code of a folder's own may ask whether it is there, and call it with more (jina-embeddings-v3)."""
    assert build("BertModel", "BertConfig", **BERT)[1].model.pooler is None
