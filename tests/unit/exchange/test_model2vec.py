"""Folders of model2vec: the vectors of `StaticModel.encode`, written out here as the mean that it takes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from hardneg.cli import main
from hardneg.commands import export, import_
from hardneg.data.tokens import Tokeniser
from hardneg.encoders import checkpoint
from hardneg.encoders.static import Static, StaticTower
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.exchange.read import read
from hardneg.exchange.write import write
from hardneg.retrieval.model import Model
from hardneg.serving import embedding_space

WORDS = ["[PAD]", "[UNK]", "quick", "brown", "fox", "dogs", "lazy"]
TEXTS = ["quick brown fox", "quick zebra fox zebra", "zebra", "", "dogs", "fox [UNK] lazy"]
TABLE = torch.arange(1.0, 22.0).reshape(7, 3).sin()
ROWS, SHARES = torch.tensor([0, 1, 2, 2, 1, 0, 2]), torch.tensor([1, 1, 0.5, 2, 3, 1, 0.25], dtype=torch.float64)
MODULES = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]

NORMALIZE = {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}


def words():
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    return tokenizer


@pytest.fixture
def saved(tmp_path):
    """Write what `StaticModel.save_pretrained` writes; of the first versions, which knew no `modules`, without them."""

    def save(config=None, modules=None, **weights):
        folder = tmp_path / "m2v"
        folder.mkdir()
        save_file(weights or {"embeddings": TABLE}, folder / "model.safetensors")
        words().save(str(folder / "tokenizer.json"))
        (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", **(config or {})}))
        if modules is not None:
            (folder / "modules.json").write_text(json.dumps(modules))
        return folder

    return save


def mean(table, text, longest=512):
    """The first so many tokens, of which unknown ones are left out then; zeros where none is left."""
    ids = [WORDS.index(word) if word in WORDS else 1 for word in text.split()][:longest]
    known = [row for row in ids if row != 1]
    return table[known].mean(dim=0) if known else torch.zeros(table.shape[1])


def embed(trained, texts=TEXTS, side="query"):
    tokens = Tokeniser(trained.tokenizer, getattr(trained.recipe, side)).table(texts)
    with torch.no_grad():
        return trained.towers(tokens.batch(np.arange(len(texts))), side)


@pytest.mark.parametrize("modules", [None, MODULES])
@pytest.mark.parametrize(
    ("weights", "table"),
    [
        ({"embeddings": TABLE}, TABLE),
        ({"embeddings": TABLE.double()}, TABLE),
        ({"embeddings": TABLE.half()}, TABLE.half().float()),
        ({"embeddings": (TABLE * 127).round().char()}, (TABLE * 127).round()),
        ({"embeddings": TABLE[:3], "mapping": ROWS}, TABLE[ROWS]),
        ({"embeddings": TABLE, "weights": SHARES}, TABLE * SHARES.float()[:, None]),
        ({"embeddings": TABLE[:3].clone(), "mapping": ROWS, "weights": SHARES}, TABLE[ROWS] * SHARES.float()[:, None]),
    ],
)
def test_the_vectors_are_those_of_model2vec(weights, table, modules, saved):
    trained = read(saved({"normalize": False}, modules, **{k: v.clone() for k, v in weights.items()}))
    expected = torch.stack([mean(table, text) for text in TEXTS])
    for side in ("query", "document"):
        torch.testing.assert_close(embed(trained, side=side), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("modules", [None, [*MODULES, NORMALIZE]])
def test_the_flag_normalize_makes_unit_vectors_and_texts_without_known_words_stay_zero(modules, saved):
    trained = read(saved({"normalize": True}, modules))
    expected = torch.stack([mean(TABLE, text) for text in TEXTS])
    expected = expected / expected.norm(dim=1, keepdim=True).clamp(min=1e-12)
    torch.testing.assert_close(embed(trained), expected, rtol=1e-6, atol=1e-6)
    assert expected[2:4].abs().sum() == 0


@pytest.mark.parametrize(("config", "longest"), [({}, 512), ({"max_length": 3}, 3), ({"max_length": None}, 900)])
def test_texts_are_cut_where_the_config_says_and_at_512_tokens_where_it_does_not(config, longest, saved):
    text = ("quick zebra brown dogs fox " * 120).strip()  # 600 tokens
    found = embed(read(saved(config)), [text])
    torch.testing.assert_close(found[0], mean(TABLE, text, longest), rtol=1e-5, atol=1e-6)


def test_a_checkpoint_of_it_gives_the_same_and_is_exported_where_sentence_transformers_can(saved, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = saved({"normalize": True})
    import_.main([str(folder), str(tmp_path / "m2v.ckpt")])
    ours = embed(checkpoint.load(tmp_path / "m2v.ckpt"))
    torch.testing.assert_close(ours, embed(read(folder)), rtol=0, atol=0)
    export.main([str(tmp_path / "m2v.ckpt"), str(tmp_path / "out")])
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    torch.testing.assert_close(torch.from_numpy(model.encode_query(TEXTS)), ours, rtol=0, atol=1e-6)


def test_unknown_words_that_are_left_out_of_dot_products_are_not_exported(saved, tmp_path):
    import_.main([str(saved({"normalize": False})), str(tmp_path / "m2v.ckpt")])
    again = checkpoint.load(tmp_path / "m2v.ckpt")
    torch.testing.assert_close(embed(again), torch.stack([mean(TABLE, text) for text in TEXTS]), rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match="averages unknown words"):
        export.main([str(tmp_path / "m2v.ckpt"), str(tmp_path / "out")])


def test_trained_on_as_unit_vectors_they_are_exported(saved, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    there = read(saved({"normalize": False}))
    assert there.recipe.dim == TABLE.shape[1]
    recipe = replace(there.recipe, normalize=True)
    towers = Towers(recipe, recipe.rebuild(recipe.architecture(there.towers.tower("query")))).eval()
    towers.load_state_dict(there.towers.state_dict())
    trained = replace(there, recipe=recipe, towers=towers)
    (tmp_path / "out").mkdir()
    write(trained, tmp_path / "out")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    torch.testing.assert_close(torch.from_numpy(model.encode_query(TEXTS)), embed(trained), rtol=0, atol=1e-6)


def test_a_folder_of_sentence_transformers_around_it_is_read_as_sentence_transformers_does(saved, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = saved(None, MODULES, embeddings=TABLE[:3].clone(), mapping=ROWS, weights=SHARES.float())
    (folder / "config.json").unlink()
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    model.save(str(tmp_path / "st"))
    expected = torch.nn.functional.normalize(torch.from_numpy(model.encode(TEXTS)), dim=1)
    for one in (folder, tmp_path / "st"):
        torch.testing.assert_close(embed(read(one)), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": {"embeddings": TABLE[:3].clone()}}, "vectors for 3 tokens, but tokenizer.json has 7"),
        ({"weights": {"embeddings": TABLE[:2].clone(), "mapping": ROWS}}, "mapping refers to rows outside the table"),
        ({"weights": {"embeddings": TABLE.clone(), "weights": SHARES[:2].clone()}}, "weights has 2 tokens"),
        ({"weights": {"embeddings": TABLE.clone(), "bias": SHARES}}, "this file holds bias, embeddings"),
        ({"config": {"max_length": "all"}}, "max_length must be a number of tokens, or null, got 'all'"),
        ({"tokenizer.json": "{}"}, "tokenizer.json is not a tokenizer"),
        ({"tokenizer.json": None}, "has no tokenizer.json; save it again with model2vec"),
        ({"model.safetensors": None}, "has no model.safetensors; save it again with model2vec"),
        ({"model.safetensors": "version https://git-lfs.github.com/spec/v1"}, "damaged, or not a file of weights"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(change, said, saved, tmp_path, monkeypatch, capsys):
    folder = saved(change.pop("config", None), **change.pop("weights", {}))
    for name, text in change.items():
        (folder / name).unlink()
        if text is not None:
            (folder / name).write_text(text)
    monkeypatch.setattr("sys.argv", ["hardneg", "import", str(folder), str(tmp_path / "a.ckpt")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and not (tmp_path / "a.ckpt").exists()
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and str(folder) in told


@pytest.mark.parametrize("kind", [Static, Transformer])
def test_where_a_transformer_is_asked_for_the_import_is_named(kind, saved):
    folder = str(saved())
    with pytest.raises(ConfigError, match=f"no transformer; make a checkpoint of it, by hardneg import {folder}"):
        (kind(init=folder) if kind is Static else kind(model=folder)).check_model()


def test_a_training_that_starts_or_goes_on_from_it_leaves_out_what_it_does(saved, tmp_path, toy):
    path = tmp_path / "m2v.ckpt"
    import_.main([str(saved({"normalize": False})), str(path)])
    there = checkpoint.load(path)
    for take in (
        lambda towers: checkpoint.start_from(path, there.recipe, there.tokenizer, towers),
        lambda towers: (towers.load_state_dict(there.towers.state_dict()), checkpoint.adopt(path, towers)),
    ):
        towers = Towers(there.recipe, StaticTower(*TABLE.shape, False, empty=0)).eval()
        take(towers)
        assert towers.tower("document").beside_weights == there.towers.tower("document").beside_weights != {}
        torch.testing.assert_close(embed(replace(there, towers=towers)), embed(there), rtol=0, atol=0)


def test_vectors_of_other_tokens_left_out_have_another_name(saved, tmp_path, toy):
    trained = read(saved({"normalize": False}))
    model = Model.over(toy, trained.towers, trained.recipe, trained.tokenizer, "32-true", tmp_path)
    space = embedding_space.both(trained.recipe, trained.tokenizer, trained.towers, trained.towers.dim)
    names = {json.dumps([model.identity(), space], sort_keys=True)}
    trained.towers.tower("document").adopt({})
    space = embedding_space.both(trained.recipe, trained.tokenizer, trained.towers, trained.towers.dim)
    names.add(json.dumps([model.identity(), space], sort_keys=True))
    assert len(names) == 2
