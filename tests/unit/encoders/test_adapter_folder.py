"""Adapters that peft saved without their model are merged into it, and refused where they are of another."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch

from hardneg.data.tables import Texts
from hardneg.encoders.model_folder import ModelFolder
from hardneg.encoders.transformer import Transformer
from hardneg.encoders.transformer_model import open_folder
from hardneg.errors import ConfigError

peft = pytest.importorskip("peft")
INPUTS = torch.tensor([[2, 7, 5, 3], [2, 9, 3, 0]])


@pytest.fixture
def saved(bert, tmp_path):
    """A folder of LoRA adapters for the tiny BERT, and the model with these merged in."""
    from transformers import AutoModel

    torch.manual_seed(0)
    lora = peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    adapted = peft.get_peft_model(AutoModel.from_pretrained(bert), lora)
    adapted.peft_config["default"].base_model_name_or_path = str(bert)
    adapted.save_pretrained(tmp_path / "adapters")
    return tmp_path / "adapters", adapted.merge_and_unload().eval()


def embedded(recipe):
    tower = recipe.build(recipe.tokenizer(Texts.of([], []))).eval()
    assert all(weight.requires_grad for weight in tower.parameters())
    with torch.no_grad():
        return tower(INPUTS, INPUTS != 0)


def cls_of(model):
    with torch.no_grad():
        states = model(input_ids=INPUTS, attention_mask=(INPUTS != 0).long()).last_hidden_state
    return torch.nn.functional.normalize(states[:, 0], dim=1)


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_adapters_are_merged_into_their_model(saved, bert):
    folder, merged = saved
    recipe = Transformer(model=str(folder), pooling="cls").resolved()
    assert recipe.document.max_length == 64  # no more than their model has positions
    found = embedded(recipe)
    torch.testing.assert_close(found, cls_of(merged), rtol=0, atol=1e-5)
    assert not torch.allclose(found, embedded(Transformer(model=str(bert), pooling="cls").resolved()), atol=1e-2)
    embedded(Transformer(model=str(folder), layers=1).resolved())  # the other layers' adapters go with them


def test_libraries_say_nothing_while_adapters_are_merged(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedded(Transformer(model=str(saved[0])).resolved())


def test_a_language_models_adapters_are_merged_below_its_head(bert, tmp_path):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    tokenizer = AutoTokenizer.from_pretrained(bert)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "llama")
    tokenizer.save_pretrained(tmp_path / "llama")
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(LlamaForCausalLM.from_pretrained(tmp_path / "llama"), lora)
    adapted.save_pretrained(tmp_path / "adapters")
    expected = cls_of(adapted.merge_and_unload().model.eval())
    told = Transformer(model=str(tmp_path / "adapters"), pooling="cls")
    torch.testing.assert_close(embedded(told.resolved()), expected, rtol=0, atol=1e-5)
    edit(tmp_path / "adapters" / "adapter_config.json", task_type="FEATURE_EXTRACTION")
    with pytest.raises(ConfigError, match=r"are of another model than LlamaModel.*merge them"):
        embedded(told)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"base_model_name_or_path": "/nowhere/x"}, "holds adapters of the model '/nowhere/x': there is no folder"),
        ({"base_model_name_or_path": None}, "names no base_model_name_or_path"),
        ({"peft_type": "IA3"}, "holds adapters of the kind IA3"),
        ({"peft_type": None}, "holds adapters without a peft_type"),
    ],
)
def test_what_cannot_be_merged_is_refused(saved, values, says):
    folder, _ = saved
    edit(folder / "adapter_config.json", **values)
    with pytest.raises(ConfigError, match=says):
        embedded(Transformer(model=str(folder)))


def test_adapters_from_the_hub(saved, tmp_path, monkeypatch):
    """From the hub's cache, as it lies there once they were fetched."""
    from huggingface_hub import constants

    folder, merged = saved
    place = tmp_path / "hub" / "models--owner--lora"
    shutil.copytree(folder, place / "snapshots" / "0123")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert ModelFolder.open("owner/lora").base.positions == 64
    torch.testing.assert_close(
        embedded(Transformer(model="owner/lora", pooling="cls")), cls_of(merged), rtol=0, atol=1e-5
    )


def test_a_tower_from_adapters_is_rebuilt_with_its_code_allowed(saved):
    """A folder of adapters has no config: that of their model is what says which code there is."""
    recipe = Transformer(model=str(saved[0]), pooling="cls", trust_remote_code=True)
    tower = recipe.build(recipe.tokenizer(Texts.of([], [])))
    again = recipe.rebuild(recipe.architecture(tower))
    assert {name: one.shape for name, one in again.state_dict().items()} == {
        name: one.shape for name, one in tower.state_dict().items()
    }


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_a_head_is_taken_off_whatever_its_class_is_called(bert, tmp_path, kind):
    from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

    base, target = bert, "query"
    if kind == "gpt2":
        base, target = tmp_path / "gpt2", "c_attn"
        tokenizer = AutoTokenizer.from_pretrained(bert)
        sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
        GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(base)
        tokenizer.save_pretrained(base)
    lora = peft.LoraConfig(
        r=2, target_modules=[target], init_lora_weights=False, task_type="CAUSAL_LM", fan_in_fan_out=kind == "gpt2"
    )
    adapted = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
    adapted.save_pretrained(tmp_path / "adapters")
    expected = cls_of(adapted.merge_and_unload().base_model.eval())
    found = embedded(Transformer(model=str(tmp_path / "adapters"), pooling="cls").resolved())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_adapters_of_adapters_are_refused(saved, tmp_path):
    folder, _ = saved
    shutil.copytree(folder, tmp_path / "second")
    edit(tmp_path / "second" / "adapter_config.json", base_model_name_or_path=str(folder))
    edit(folder / "adapter_config.json", base_model_name_or_path=str(folder))  # its own
    for path in (tmp_path / "second", folder):
        with pytest.raises(ConfigError, match=r"which holds adapters and no model.*merge them"):
            embedded(Transformer(model=str(path)))


def test_damaged_adapters_are_refused(saved):
    folder, _ = saved
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(ConfigError, match=r"adapter_model.safetensors is damaged .*download it again"):
        embedded(Transformer(model=str(folder)))


def test_adapters_of_a_task_that_an_encoder_has_not_are_refused(bert, tmp_path):
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(bert)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    base = tmp_path / "t5"
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(base)
    tokenizer.save_pretrained(base)
    lora = peft.LoraConfig(r=2, target_modules=["q"])
    adapted = peft.get_peft_model(T5ForConditionalGeneration.from_pretrained(base), lora)
    adapted.save_pretrained(tmp_path / "adapters")
    # Written afterwards: an older peft asks the model for what transformers has no more.
    edit(tmp_path / "adapters" / "adapter_config.json", task_type="SEQ_2_SEQ_LM")
    with pytest.raises(ConfigError, match=r"do not fit their model .*merge them"):
        embedded(Transformer(model=str(tmp_path / "adapters")))


def test_code_is_not_run_at_a_revision_that_nobody_named(saved, bert, monkeypatch):
    folder, _ = saved
    opened = ModelFolder.open

    def from_hub(model, revision=None):
        return ModelFolder(model, bert, None, revision) if model == "owner/base" else opened(model, revision)

    monkeypatch.setattr(ModelFolder, "open", from_hub)
    edit(folder / "adapter_config.json", base_model_name_or_path="owner/base")
    open_folder(Transformer(model=str(folder)))
    trusting = Transformer(model=str(folder), trust_remote_code=True)
    with pytest.raises(ConfigError, match=r"adapters of 'owner/base' on the hub.*write the revision"):
        open_folder(trusting)
    edit(folder / "adapter_config.json", revision="0123")
    open_folder(trusting)
