"""Adapters that peft saved without their model are merged into it, and refused where they are of another."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from hardneg.data.tables import Texts
from hardneg.encoders.model_folder import ModelFolder
from hardneg.encoders.transformer import Transformer
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
