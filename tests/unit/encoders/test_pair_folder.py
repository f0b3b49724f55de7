"""Cross-encoders as sentence-transformers saves them: with a list of modules, lengths, prompts and chat templates."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers

from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.errors import ConfigError
from hardneg.teachers.cross_encoder import CrossEncoderTeacher

sentence_transformers = pytest.importorskip("sentence_transformers")
QUERIES, DOCS = ["a b", "c", "a A B"], ["b c " * 20, "a", "C c b"]
LOGITS = {"method": "forward", "method_output_name": "logits"}


@pytest.fixture
def saved(bert, tmp_path):
    """Save a cross-encoder of random weights by sentence-transformers itself."""

    def make(**settings):
        torch.manual_seed(0)
        model = sentence_transformers.CrossEncoder(str(bert), num_labels=1, device="cpu", **settings)
        model.save_pretrained(str(tmp_path / "saved"))
        return tmp_path / "saved"

    return make


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def check_scores(folder):
    network = CrossEncoder.load(str(folder), "auto", trained=True).eval()
    model = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    pairs = list(zip(QUERIES, DOCS, strict=True))
    expected = model.predict(pairs, activation_fn=torch.nn.Identity(), convert_to_tensor=True)
    with torch.no_grad():
        torch.testing.assert_close(network(*network.tokens(QUERIES, DOCS).inputs), expected, rtol=0, atol=1e-5)
    return network


def test_pairs_are_as_long_as_the_folder_says(saved):
    """Version 6 says nothing in config.json, where earlier ones marked a model as theirs."""
    folder = saved(max_length=12)
    assert "sentence_transformers" not in json.loads((folder / "config.json").read_text())
    assert check_scores(folder).max_length == 12
    edit(folder / "sentence_bert_config.json", max_seq_length=9)
    assert check_scores(folder).max_length == 9


def test_its_default_prompt_is_put_in_front_of_each_query(saved, toy, tmp_path):
    folder = saved(prompts={"ask": "b a c "}, default_prompt_name="ask")
    assert check_scores(folder).tokens.prompt == "b a c "
    assert not CrossEncoder.load(str(folder), 32).tokens.prompt, "what starts from it has a config of its own"
    names = []
    for default in ("ask", None):
        edit(folder / "config_sentence_transformers.json", default_prompt_name=default)
        teacher = CrossEncoderTeacher(str(folder), max_length=32)
        teacher.prepare(toy, tmp_path)
        names.append(teacher.identity())
    assert names[0] != names[1], "scores of the one are not taken for those of the other"


def test_texts_are_lower_cased_where_it_says_so(saved, toy):
    folder = saved()
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    tokens = check_scores(folder).tokens
    texts = [toy.corpus[0]]  # of words that the tokenizer knows, in lower case
    upper = [text.upper() for text in texts]
    assert torch.equal(tokens(upper, upper).inputs[0], tokens(texts, texts).inputs[0])
    cased = CrossEncoder.load(str(folder), 32).tokens
    assert not torch.equal(cased(upper, upper).inputs[0], cased(texts, texts).inputs[0])


def test_what_is_not_read_so_here_is_refused_at_start(saved):
    folder = saved()
    message = {"text": LOGITS, "message": {**LOGITS, "format": "flat"}}
    edit(folder / "sentence_bert_config.json", modality_config=message)
    with pytest.raises(ConfigError, match=r"teacher: .*a chat template around each text.*which changes its scores"):
        CrossEncoderTeacher(str(folder))
    first = json.loads((folder / "modules.json").read_text())
    more = {"idx": 1, "name": "1", "path": "1_LogitScore", "type": "sentence_transformers.cross_encoder.LogitScore"}
    (folder / "modules.json").write_text(json.dumps([*first, more]))
    with pytest.raises(ConfigError, match=r"modules Transformer, LogitScore, .* classifies .*teacher=llm"):
        CrossEncoderTeacher(str(folder))


def test_a_language_model_without_a_head_leads_to_the_other_teacher(saved):
    folder = saved()
    (folder / "modules.json").unlink()
    edit(folder / "config.json", architectures=["Qwen3ForCausalLM"])
    with pytest.raises(ConfigError, match=r"config says Qwen3ForCausalLM.*answers yes or no, take teacher=llm"):
        CrossEncoderTeacher(str(folder))


def test_a_decoder_without_a_padding_token_is_saved_with_one(bert, tmp_path):
    """GPT-2's and Llama's: sentence-transformers could not pad for a teacher trained from them."""
    folder = shutil.copytree(bert, tmp_path / "decoder")
    saved = transformers.AutoTokenizer.from_pretrained(bert)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.LlamaConfig(vocab_size=len(saved), max_position_embeddings=64, **sizes)
    torch.manual_seed(0)
    transformers.LlamaModel(config).save_pretrained(folder)
    about = json.loads((folder / "tokenizer_config.json").read_text())
    about = {key: value for key, value in about.items() if key != "pad_token"} | {"eos_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    assert transformers.AutoTokenizer.from_pretrained(folder).pad_token is None
    CrossEncoder.load(str(folder), 32).save(tmp_path / "saved")
    check_scores(tmp_path / "saved")
