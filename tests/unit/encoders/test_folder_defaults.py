"""An encoder given as a sentence-transformers folder embeds as it does there, unless a config says otherwise."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hardneg.config import classes
from hardneg.data.tokens import TokenTable
from hardneg.encoders import checkpoint
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.mining.dense import Dense as DenseMiner
from hardneg.teachers.bi_encoder import BiEncoderTeacher

sentence_transformers = pytest.importorskip("sentence_transformers")
E5 = {"query": "query: ", "document": "passage: "}


@pytest.fixture
def folder(bert, tmp_path):
    """Save a tiny random model as a sentence-transformers folder with this pooling, these layers and prompts."""
    modules = pytest.importorskip("sentence_transformers.models")

    def make(
        pooling="mean", normalize=True, dense=(), prompts=None, length=None, similarity=None, name="saved", **more
    ):
        torch.manual_seed(1)
        first = modules.Transformer(str(bert), max_seq_length=length)
        chain = [first, modules.Pooling(16, pooling_mode=pooling, **more)]
        chain += [modules.Dense(*sizes, bias=bias, activation_function=act) for *sizes, bias, act in dense]
        chain += [modules.Normalize()] if normalize else []
        model = sentence_transformers.SentenceTransformer(
            modules=chain, prompts=prompts, similarity_fn_name=similarity, device="cpu"
        )
        model.save_pretrained(str(tmp_path / name))
        return tmp_path / name

    return make


def ours(recipe, data, cache):
    """Vectors of all queries and documents."""
    tokenizer = recipe.tokenizer(data.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    return of(recipe, tokenizer, towers, data, cache)


def of(recipe, tokenizer, towers, data, cache):
    sides = {QUERY: data.queries, DOCUMENT: data.corpus}
    tables = {side: TokenTable.build(sides[side], tokenizer, getattr(recipe, side), cache, side) for side in sides}
    with torch.no_grad():
        return [towers(table.batch(np.arange(len(table))), side) for side, table in tables.items()]


def theirs(path, data):
    model = sentence_transformers.SentenceTransformer(str(path), device="cpu")
    encoded = model.encode_query(data.queries.texts.to_pylist()), model.encode_document(data.corpus.texts.to_pylist())
    return [torch.from_numpy(rows) for rows in encoded]


GEMMA = ((16, 24, False, nn.Identity()), (24, 8, False, nn.Identity()))
KINDS = {
    "mean": {},
    "cls": {"pooling": "cls"},
    "last, dot": {"pooling": "lasttoken", "normalize": False, "similarity": "dot"},
    "max": {"pooling": "max"},
    "weighted mean": {"pooling": "weightedmean"},
    "weighted mean, prompts not pooled": {"pooling": "weightedmean", "prompts": E5, "include_prompt": False},
    "mean by the root of the length, dot": {
        "pooling": "mean_sqrt_len_tokens",
        "normalize": False,
        "similarity": "dot",
    },
    "three beside each other": {"pooling": ("mean", "cls", "max")},
    "two, and dense": {"pooling": ("mean", "lasttoken"), "dense": ((32, 8, True, nn.Tanh()),)},
    "cls, prompts not pooled": {"pooling": "cls", "prompts": E5, "include_prompt": False},
    "last and mean, prompts not pooled": {"pooling": ("lasttoken", "mean"), "prompts": E5, "include_prompt": False},
    "prompts": {"prompts": E5},
    "prompts, not pooled": {"prompts": E5, "include_prompt": False},
    "short": {"length": 5, "prompts": {"query": "q: ", "passage": "p: "}},
    "dense with bias": {"dense": ((16, 8, True, nn.Tanh()),), "pooling": "cls"},
    "two dense, as EmbeddingGemma": {"dense": GEMMA},
    "dense, gelu, dot": {"dense": ((16, 8, True, nn.GELU()),), "normalize": False, "similarity": "dot"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_those_of_sentence_transformers(kind, folder, toy, tmp_path):
    path = folder(**KINDS[kind])
    recipe = Transformer(model=str(path)).resolved()
    assert not recipe.leaves_open
    mine, expected = ours(recipe, toy, tmp_path), theirs(path, toy)
    for one, other in zip(mine, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    plain = Transformer(model=str(path), pooling="mean", dense=None, normalize=True, query=SIDE, document=SIDE)
    pairs = zip(ours(plain, toy, tmp_path), mine, strict=True)
    same = all(a.shape == b.shape and torch.allclose(a, b, atol=1e-5) for a, b in pairs)
    assert same is (kind == "mean"), "what the folder says makes a difference"


SIDE = classes.build({"_target_": "hardneg.data.tokens.Side", "max_length": 64})


def test_without_normalize_scores_are_cosines_where_the_similarity_is_the_cosine(folder, toy, tmp_path):
    path = folder(normalize=False)  # names no similarity: sentence-transformers takes the cosine
    for one, other in zip(ours(Transformer(model=str(path)).resolved(), toy, tmp_path), theirs(path, toy), strict=True):
        torch.testing.assert_close(one, F.normalize(other, dim=1), rtol=0, atol=1e-5)


def test_a_miner_and_a_teacher_read_the_folder_too(folder, toy, tmp_path):
    path = folder(pooling="cls", prompts=E5, dense=GEMMA)
    q, d = theirs(path, toy)
    model = DenseMiner(encoder=Transformer(model=str(path)), precision="32-true").ready(toy, None, tmp_path).model
    found = of(model.recipe, model.tokenizer, model.towers.eval(), toy, tmp_path)
    torch.testing.assert_close(found[0], q, rtol=0, atol=1e-5)
    teacher = BiEncoderTeacher(encoder=Transformer(model=str(path)), precision="32-true", scale=1.0)
    teacher.prepare(toy, tmp_path)
    scores = teacher.score(np.array([3], np.int32), np.array([[5, 9]], np.int32))
    np.testing.assert_allclose(scores, (q[[3]] @ d[[5, 9]].T).numpy(), atol=1e-5)


def test_what_the_config_says_wins_and_one_line_tells_what_came_from_where(folder, caplog):
    path = folder(pooling="cls", prompts=E5, length=33)
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(path), "pooling": "mean"}
    node["query"] = {"_target_": "hardneg.data.tokens.Side", "prompt": "ask: ", "max_length": "auto"}
    with caplog.at_level(logging.INFO, "hardneg.encoders.transformer"):
        recipe = classes.build(node).resolved()
    assert (recipe.pooling, recipe.query.prompt, recipe.query.max_length) == ("mean", "ask: ", 33)
    assert (recipe.document.prompt, recipe.document.max_length, recipe.normalize) == ("passage: ", 33, True)
    (line,) = [record.message for record in caplog.records]
    assert line == (
        f"encoder {path}: sentence-transformers, from its folder: dense none, normalize true, query.max_length 33,"
        " document.prompt 'passage: ', document.max_length 33; from the config: pooling mean, query.prompt 'ask: '"
    )


@pytest.mark.parametrize(
    ("similarity", "why"), [("cosine", "its similarity is cosine"), (None, "cosine where a folder names no similarity")]
)
def test_that_vectors_are_normalised_without_a_module_of_it_is_said_with_its_reason(folder, caplog, similarity, why):
    path = folder(normalize=False)
    written = path / "config_sentence_transformers.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"similarity_fn_name": similarity}))
    with caplog.at_level(logging.INFO, "hardneg.encoders.transformer"):
        assert Transformer(model=str(path)).resolved().normalize
    assert f"dense none, normalize true (no module of it: {why}), query" in caplog.text


def test_a_plain_folder_is_as_it_was(bert):
    recipe = Transformer(model=str(bert)).resolved()
    assert (recipe.pooling, recipe.normalize, recipe.layers_behind) == ("mean", True, ())
    assert (recipe.query.prompt, recipe.query.max_length) == ("", 64)
    assert (recipe.document.prompt, recipe.document.max_length) == ("", 64), "128, but it has 64 positions"


@pytest.mark.parametrize(("kind", "most"), [("bert", 40), ("roberta", 38)])
def test_more_tokens_than_positions_are_refused_at_start(kind, most, bert, tmp_path):
    config = json.loads((bert / "config.json").read_text()) | {"model_type": kind, "max_position_embeddings": 40}
    (tmp_path / "config.json").write_text(json.dumps(config | {"pad_token_id": 1}))
    make = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(tmp_path)}
    side = {"_target_": "hardneg.data.tokens.Side", "max_length": most}
    classes.build({**make, "document": side}).check_model()
    said = rf"encoder\.document\.max_length={most + 1} is more than '.*' has positions for, {most}; set it to {most}"
    with pytest.raises(ConfigError, match=said):
        classes.build({**make, "document": {**side, "max_length": most + 1}}).check_model()


def test_what_a_folder_has_and_we_cannot_run_is_refused_unless_the_config_decides(folder):
    path = folder()
    (path / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": "sum"}))
    with pytest.raises(ConfigError, match=r"pools by sum.*set encoder\.pooling"):
        Transformer(model=str(path)).check_model()
    Transformer(model=str(path), pooling="mean").check_model()


def test_every_key_that_a_module_of_none_of_ours_leaves_open_is_named_at_once(folder):
    """They were named one after the other, each once the one before was set."""
    path = folder(length=20)
    listed = json.loads((path / "modules.json").read_text())
    listed.insert(1, {"idx": 1, "name": "1", "path": "1_LSTM", "type": "sentence_transformers.models.LSTM"})
    (path / "modules.json").write_text(json.dumps(listed))
    keys = {"pooling": "mean", "dense": None, "normalize": True, "include_prompt": True}
    with pytest.raises(ConfigError, match=rf"models\.LSTM.*set {', '.join(f'encoder.{key}' for key in keys)}$"):
        Transformer(model=str(path)).check_model()
    Transformer(model=str(path), **keys).check_model()


def test_a_folder_without_its_subfolders_is_refused(folder):
    """A copy of its files alone; texts were averaged, whatever it is that the folder does."""
    path = folder(pooling="cls")
    (path / "1_Pooling/config.json").unlink()
    with pytest.raises(ConfigError, match=r"no .*1_Pooling/config\.json, which says how .* pools; copy .*subfolders"):
        Transformer(model=str(path)).check_model()


def test_a_length_by_its_old_name_in_the_tokenizers_settings(folder):
    path = folder()
    written = path / "tokenizer_config.json"
    about = {key: value for key, value in json.loads(written.read_text()).items() if key != "model_max_length"}
    written.write_text(json.dumps(about | {"max_len": 9}))
    assert sentence_transformers.SentenceTransformer(str(path), device="cpu").max_seq_length == 9
    assert Transformer(model=str(path)).resolved().document.max_length == 9


@pytest.mark.parametrize("first", ["Router", "StaticEmbedding"])
def test_folders_that_are_no_transformer_lead_to_import(first, tmp_path):
    listed = [{"idx": 0, "name": "0", "path": "", "type": f"sentence_transformers.models.{first}"}]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ConfigError, match="hardneg import"):
        Transformer(model=str(tmp_path)).resolved()


def test_an_oldest_folder_with_the_model_below_it_and_lower_case(folder, toy, tmp_path):
    path = folder(pooling="cls")
    listed = json.loads((path / "modules.json").read_text())
    below = path / "0_Transformer"
    below.mkdir()
    for file in [file for file in path.iterdir() if file.is_file() and file.name not in ("modules.json", "README.md")]:
        if file.name != "config_sentence_transformers.json":
            file.rename(below / file.name)
    listed[0]["path"] = "0_Transformer"
    (path / "modules.json").write_text(json.dumps(listed))
    (below / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": True}))
    recipe = Transformer(model=str(path)).resolved()
    assert recipe.document.max_length == 20
    tokenizer = recipe.tokenizer(toy.corpus)
    assert tokenizer.encode(toy.corpus[0].upper()).ids == tokenizer.encode(toy.corpus[0]).ids
    mine = ours(recipe, toy, tmp_path)
    torch.testing.assert_close(mine[1], theirs(path, toy)[1], rtol=0, atol=1e-5)


def test_a_checkpoint_knows_what_was_taken_and_needs_the_folder_no_more(folder, toy, tmp_path):
    path = folder(pooling="cls", prompts=E5, dense=((16, 8, True, nn.Tanh()),))
    expected = theirs(path, toy)
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(path), "pooling": "auto"}
    recipe = classes.build(node).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    card = checkpoint.card(node, recipe, tokenizer, towers)
    weights = {f"towers.{key}": value for key, value in towers.state_dict().items()}
    torch.save({"state_dict": weights, checkpoint.KEY: card}, tmp_path / "a.ckpt")
    path.rename(tmp_path / "gone")
    loaded = checkpoint.load(tmp_path / "a.ckpt")
    assert loaded.recipe == recipe
    for one, other in zip(of(recipe, loaded.tokenizer, loaded.towers, toy, tmp_path), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


CONFIGURATION = """
from transformers import PretrainedConfig


class Tiny(PretrainedConfig):
    model_type = "tiny_of_its_own"

    def __init__(self, hidden_size=4, vocab_size=400, **rest):
        self.hidden_size, self.vocab_size = hidden_size, vocab_size
        super().__init__(**rest)
"""
MODELING = """
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration_tiny import Tiny


class TinyModel(PreTrainedModel):
    config_class = Tiny

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        return BaseModelOutput(last_hidden_state=self.words(input_ids))
"""


def test_a_model_with_code_of_its_own_runs_only_if_it_is_trusted(bert, toy, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((bert / name).read_bytes())
    auto = {"AutoConfig": "configuration_tiny.Tiny", "AutoModel": "modeling_tiny.TinyModel"}
    about = {"model_type": "tiny_of_its_own", "hidden_size": 4, "vocab_size": 400, "auto_map": auto}
    (tmp_path / "config.json").write_text(json.dumps(about))
    (tmp_path / "configuration_tiny.py").write_text(CONFIGURATION)
    (tmp_path / "modeling_tiny.py").write_text(MODELING)
    words = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    save_file({"words.weight": words}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(tmp_path)}
    untrusted = classes.build(node).resolved()
    with pytest.raises(ConfigError, match="trust_remote_code"):
        untrusted.build(untrusted.tokenizer(toy.corpus))
    recipe = classes.build(node | {"trust_remote_code": True}).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    expected = F.normalize(words[tokenizer.encode(toy.corpus[0]).ids].mean(dim=0), dim=0)
    found = of(recipe, tokenizer, towers, toy, tmp_path / "cache")
    torch.testing.assert_close(found[1][0], expected, rtol=0, atol=1e-5)
    card = checkpoint.card(node | {"trust_remote_code": True}, recipe, tokenizer, towers)
    weights = {f"towers.{key}": value for key, value in towers.state_dict().items()}
    torch.save({"state_dict": weights, checkpoint.KEY: card}, tmp_path / "a.ckpt")
    monkeypatch.setenv(checkpoint.TRUST, "1")
    again = checkpoint.load(tmp_path / "a.ckpt")
    for one, other in zip(of(recipe, tokenizer, again.towers, toy, tmp_path / "cache"), found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_nothing_is_said_to_come_from_a_folder_that_nothing_was_taken_from(folder, caplog):
    """As with encoder=minilm, whose settings are all in the config."""
    path, side = folder(), {"_target_": "hardneg.data.tokens.Side", "prompt": "", "max_length": 32}
    own = {"pooling": "mean", "dense": None, "normalize": True, "query": side, "document": side}
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(path), **own}
    with caplog.at_level(logging.INFO, "hardneg.encoders.transformer"):
        classes.build(node).resolved()
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"encoder {path}: from the config: pooling mean, dense none, normalize true,")
