"""trainer.compile is refused where it was not tried, or has nothing to gain, by words alone."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from hardneg.config.refused_arguments import lightnings
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.preflight.parts import check_compiled_encoder
from hardneg.preflight.trainer_arguments import check_compile

TRANSFORMER = {"_target_": "hardneg.encoders.transformer.Transformer", "grad_cache": False}


@pytest.mark.parametrize(
    ("encoder", "trainer", "said"),
    [
        ({"_target_": "hardneg.encoders.static.Static"}, {}, "gains nothing with encoder=static"),
        ({"_target_": "hardneg.encoders.cross_encoder.PairRecipe"}, {}, "is for dual encoders"),
        (TRANSFORMER | {"grad_cache": True}, {}, "encoder.grad_cache=false"),
        (TRANSFORMER | {"gradient_checkpointing": True}, {}, "encoder.gradient_checkpointing=false"),
        (TRANSFORMER | {"include_prompt": False, "pooling": "mean"}, {}, "encoder.include_prompt=true"),
        (TRANSFORMER | {"unpad": True}, {}, "encoder.unpad=false"),
        (TRANSFORMER, {"strategy": {"_target_": "hardneg.training.fsdp.FSDP2"}}, "trainer=default"),
        (TRANSFORMER, {"compile": "yes"}, "must be true or false"),
    ],
)
def test_it_is_refused_with_the_way_out(encoder, trainer, said):
    with pytest.raises(ConfigError, match=said):
        check_compile({"encoder": encoder, "trainer": {"compile": True, **trainer}})


@pytest.mark.parametrize(("pooling", "refused"), [("mean", True), ("cls", True), ("last", False)])
def test_what_a_models_folder_says_of_its_prompt_counts(tmp_path, monkeypatch, pooling, refused):
    told = Transformer(model=str(tmp_path), include_prompt=False, pooling=pooling)
    monkeypatch.setattr(Transformer, "resolved", lambda self: told)
    asked = Transformer(model=str(tmp_path))
    check_compiled_encoder({"trainer": {}}, asked)
    context = pytest.raises(ConfigError, match=r"encoder\.include_prompt=true") if refused else nullcontext()
    with context:
        check_compiled_encoder({"trainer": {"compile": True}}, asked)


def test_a_transformer_may_be_compiled_and_the_key_is_not_lightnings():
    check_compile({"encoder": TRANSFORMER, "trainer": {"compile": True, "strategy": "auto"}})
    check_compile({"encoder": {"_target_": "hardneg.encoders.static.Static"}, "trainer": {}})
    assert lightnings({"compile": True, "devices": 1}) == {"devices": 1}
