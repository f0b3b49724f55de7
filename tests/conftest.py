"""What all tests share: an environment of their own, and small data sets."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from _pytest import runner

# Nothing of hardneg is imported up here: pytest loads this file before the hook that checks shapes is in place.
os.environ["HF_HUB_OFFLINE"] = "1"  # it is read when the hub's client is imported
sys.path.insert(0, str(Path(__file__).parent / "support"))
import quick
import shape_checks

shape_checks.only_where_there_are_arrays()
# Hundreds of processes are started, each of which would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector from what stays to the end, modules and tests: a look at it all takes two seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Run each test as pytest does, where its calls are quick."""
    return quick.with_room_for_frames(lambda: runner.pytest_runtest_protocol(item, nextitem))


@pytest.fixture(scope="session", autouse=True)
def parsed_once():
    """Parse each yaml and each interpolation once, and merge the same yamls once."""
    with pytest.MonkeyPatch.context() as patch:
        quick.everything_once(patch.setattr)
        yield


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path_factory):
    """No test reads or writes the user's caches, none talks to a server, and none imports what another one wrote."""
    monkeypatch.setenv("HARDNEG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    before = sys.modules.copy()
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name in [name for name in list(sys.modules) if name not in before]:  # threads may import meanwhile
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(written):
            del sys.modules[name]
    if "wandb" in sys.modules:
        # W&B tells child processes of its service by the environment: one that is killed would take the service along.
        sys.modules["wandb"].teardown()


@pytest.fixture(scope="session")
def toy():
    """A small generated world: 36 train queries, 120 documents."""
    from hardneg.testing import worlds

    return worlds.toy()


@pytest.fixture(scope="session")
def tangled(toy):
    """The toy world with every knot that real sets have."""
    from hardneg.testing import worlds

    return worlds.tangled(toy)


@pytest.fixture(scope="session")
def bert(toy, tmp_path_factory) -> Path:
    """A folder with a random BERT of three tiny layers and a tokenizer that knows the toy world's words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = sorted({word for text in toy.corpus.texts.to_pylist() for word in text.split()})
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(special + words), max_position_embeddings=64, **sizes)
    folder = tmp_path_factory.mktemp("bert")
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def tokens_of(tmp_path):
    """Turn a recipe's tokenizer and some texts into tokens."""
    from hardneg.data.tokens import TokenTable
    from hardneg.testing.synthetic import make_texts

    def make(recipe, texts, tokenizer=None):
        column = make_texts(texts)
        tokenizer = tokenizer or recipe.tokenizer(column)
        told = recipe.resolved() if recipe.leaves_open else recipe
        table = TokenTable.build(column, tokenizer, told.document, tmp_path / "tokens", "texts")
        return table.batch(np.arange(len(column)))

    return make


@pytest.fixture
def composing():
    """Hydra composes from conf/."""
    from confs import CONF
    from hydra import initialize_config_dir

    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """A config is judged before any model, tokenizer or data set is touched."""

    def loaded(*args, **kwargs):
        raise AssertionError("a model was loaded")

    import transformers

    for auto in (transformers.AutoModel, transformers.AutoTokenizer, transformers.AutoConfig):
        monkeypatch.setattr(auto, "from_pretrained", loaded)
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
