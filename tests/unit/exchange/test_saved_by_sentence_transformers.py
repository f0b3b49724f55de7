"""Folders with what sentence-transformers saves beside weights: lengths of use, arguments, chat templates."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from hardneg.commands import import_
from hardneg.commands.merge import merge
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.serving.text_encoder import TextEncoder

sentence_transformers = pytest.importorskip("sentence_transformers")


def test_two_towers_may_each_have_cut_at_a_length_of_their_own(bert, toy, tmp_path):
    """A tokenizer that was used is saved with the length that it was last cut at."""
    modules = pytest.importorskip("sentence_transformers.models")
    lengths = {"query": 4, "document": 9}
    chains = {
        f"{side}_modules": [modules.Transformer(str(bert), max_seq_length=length), modules.Pooling(16)]
        for side, length in lengths.items()
    }
    model = sentence_transformers.SentenceTransformer(modules=[modules.Router.for_query_document(**chains)])
    queries, documents = toy.queries.texts.to_pylist()[:8], toy.corpus.texts.to_pylist()[:8]
    expected = model.encode_query(queries), model.encode_document(documents)
    model.save_pretrained(str(tmp_path / "used"))
    import_.main([str(tmp_path / "used"), str(tmp_path / "used.ckpt")])
    encoder = TextEncoder.load(tmp_path / "used.ckpt", "cpu", "32-true")
    for ours, theirs in zip((encoder.queries(queries), encoder.documents(documents)), expected, strict=True):
        theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def saved(bert, folder, **settings):
    """A folder whose first module has these settings."""
    modules = pytest.importorskip("sentence_transformers.models")
    chain = [modules.Transformer(str(bert)), modules.Pooling(16), modules.Normalize()]
    sentence_transformers.SentenceTransformer(modules=chain, device="cpu").save_pretrained(str(folder))
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


HIDDEN = {"method": "forward", "method_output_name": "last_hidden_state"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"modality_config": {"text": HIDDEN, "message": {**HIDDEN, "format": "flat"}}}, "a chat template around"),
        ({"modality_config": {"text": {**HIDDEN, "method": "get_text_features"}}}, r"sets modality_config\.text"),
        ({"processing_kwargs": {"text": {"max_length": 4}}}, r"sets processing_kwargs\.max_length"),
        ({"tokenizer_args": {"truncation_side": "left"}}, r"sets tokenizer_args\.truncation_side"),
        ({"config_args": {"num_hidden_layers": 1}}, r"sets config_args\.num_hidden_layers"),
    ],
)
def test_a_first_module_that_reads_texts_otherwise_is_refused(settings, says, bert, tmp_path):
    """sentence-transformers follows these, so its vectors would be others than ours."""
    folder = saved(bert, tmp_path / "saved", **settings)
    with pytest.raises(ConfigError, match=says):
        Transformer(model=str(folder)).check_model()
    with pytest.raises(ConfigError, match=says):
        import_.main([str(folder), str(tmp_path / "a.ckpt")])


@pytest.mark.parametrize(
    "settings",
    [
        {"tokenizer_args": {"trust_remote_code": True, "revision": "main", "cache_dir": "cache", "subfolder": ""}},
        {"config_args": {"trust_remote_code": False, "code_revision": None, "token": None, "local_files_only": True}},
        {"processing_kwargs": {"text": {"truncation": True}}},
        {"processing_kwargs": {"chat_template": {"add_generation_prompt": True}, "image": {"max_length": 4}}},
    ],
)
def test_arguments_about_loading_and_about_what_is_not_there_change_no_vector(settings, bert, toy, tmp_path):
    """Folders with them were refused, though their vectors are the same with and without them."""
    folder = saved(bert, tmp_path / "saved", **settings)
    texts = toy.corpus.take([0, 1])
    expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts)
    import_.main([str(folder), str(tmp_path / "a.ckpt")])
    ours = TextEncoder.load(tmp_path / "a.ckpt", "cpu", "32-true").documents(texts)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_arguments_that_change_no_vector_are_passed_over_and_a_length_among_them_is_kept(bert, tmp_path):
    settings = {"processor_kwargs": {"model_max_length": 5, "padding_side": "left"}, "max_seq_length": 30}
    folder = saved(bert, tmp_path / "saved", **settings, model_args={"add_pooling_layer": False})
    assert sentence_transformers.SentenceTransformer(str(folder), device="cpu").max_seq_length == 5
    assert Transformer(model=str(folder)).resolved().document.max_length == 5


def test_that_a_folder_cuts_its_vectors_is_said_with_the_width(bert, tmp_path, caplog):
    """A model that was loaded with truncate_dim is saved with it."""
    folder = saved(bert, tmp_path / "saved")
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncate_dim": 8}))
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    assert model.get_embedding_dimension() == 8
    said = r"cuts its vectors to 8 numbers .* width=8"
    Transformer(model=str(folder)).resolved()
    assert re.search(said, caplog.text)
    caplog.clear()
    import_.main([str(folder), str(tmp_path / "a.ckpt")])
    assert re.search(said, caplog.text)
    whole, theirs = TextEncoder.load(tmp_path / "a.ckpt", "cpu", "32-true"), model.encode_query(["a text"])
    cut = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    np.testing.assert_allclose(whole.at(8).queries(["a text"]), cut, rtol=0, atol=1e-5)


def test_a_folder_and_a_checkpoint_of_it_are_merged_also_where_the_config_has_no_cache(bert, tmp_path):
    """MPNet's, DistilBERT's and ModernBERT's have no `use_cache`, which is set where a model is loaded."""
    transformers = pytest.importorskip("transformers")
    plain = shutil.copytree(bert, tmp_path / "plain")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    words = len(transformers.AutoTokenizer.from_pretrained(bert))
    transformers.MPNetModel(transformers.MPNetConfig(vocab_size=words, **sizes)).save_pretrained(plain)
    folder = saved(plain, tmp_path / "saved", max_seq_length=30)
    import_.main([str(folder), str(tmp_path / "a.ckpt")])
    merge([folder, tmp_path / "a.ckpt"], tmp_path / "merged.ckpt")
    encoders = [TextEncoder.load(tmp_path / name, "cpu", "32-true") for name in ("a.ckpt", "merged.ckpt")]
    one, other = (encoder.documents(["a text"]) for encoder in encoders)
    np.testing.assert_array_equal(one, other)


def test_a_folder_with_code_of_its_own_is_imported_where_that_is_trusted(bert, tmp_path, monkeypatch):
    folder = saved(bert, tmp_path / "saved")
    auto = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "own_words", "auto_map": auto}))
    (folder / "configuration_own.py").write_text(
        "from transformers import BertConfig\n\n\nclass OwnConfig(BertConfig):\n    model_type = 'own_words'\n"
    )
    (folder / "modeling_own.py").write_text(
        "from transformers import BertModel\n\nfrom .configuration_own import OwnConfig\n\n\n"
        "class OwnModel(BertModel):\n    config_class = OwnConfig\n"
    )
    with pytest.raises(ConfigError, match=r"own Python code.*hardneg import .* HARDNEG_TRUST_REMOTE_CODE=1"):
        import_.main([str(folder), str(tmp_path / "a.ckpt")])
    monkeypatch.setenv("HARDNEG_TRUST_REMOTE_CODE", "1")
    import_.main([str(folder), str(tmp_path / "a.ckpt")])
    ours = TextEncoder.load(tmp_path / "a.ckpt", "cpu", "32-true").queries(["a text"])
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    np.testing.assert_allclose(ours, model.encode_query(["a text"]), rtol=0, atol=1e-5)
