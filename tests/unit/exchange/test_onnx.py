"""ONNX and OpenVINO files of an export give the encoder's vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer
from trained_encoders import NODES, vectors

from hardneg.commands import export
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError, UserError
from hardneg.exchange import onnx

PLACES = {
    "two dense, dot": {QUERY: "", DOCUMENT: ""},
    "poolings in an order of ours": {QUERY: "", DOCUMENT: ""},
    "adapters, two towers": {QUERY: "query_0_Transformer", DOCUMENT: "document_0_Transformer"},
    "static, two lengths, dot": {QUERY: "query_0_StaticEmbedding", DOCUMENT: "document_0_StaticEmbedding"},
}


def from_files(folder, place, kind, side, texts):
    """What a user without torch computes: prompt, the tokenizer of the folder, the file."""
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    lengths = {QUERY: 6, DOCUMENT: 9} if place else {QUERY: 7, DOCUMENT: 7}
    tokenizer = Tokenizer.from_file(str(folder / place / "tokenizer.json"))
    tokenizer.enable_truncation(lengths[side])
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch([settings["prompts"][side] + text for text in texts])
    ids, mask = (np.array([getattr(one, name) for one in encoded]) for name in ("ids", "attention_mask"))
    return onnx.run_file(folder / place / onnx.MODEL[kind], kind, ids, mask)


@pytest.mark.parametrize("kind", PLACES)
def test_the_files_give_our_vectors(kind, trained, toy, tmp_path):
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    formats = ["--onnx", *(["--openvino"] if onnx.find_spec("openvino") else [])]
    path = trained(NODES[kind])
    export.main([str(path), str(tmp_path / "out"), *formats])
    for side, ours in zip((QUERY, DOCUMENT), vectors(path, toy, tmp_path), strict=True):
        texts = (toy.queries if side == QUERY else toy.corpus).texts.to_pylist()
        for name in formats:
            theirs = from_files(tmp_path / "out", PLACES[kind][side], name.strip("-"), side, texts)
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)


def test_a_format_without_its_packages_says_what_to_install(monkeypatch, trained, tmp_path):
    path = trained(NODES["static"])
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"--openvino needs onnx, onnxscript, openvino: pip install 'hardneg\[openvino\]'"
    ):
        export.main([str(path), str(tmp_path / "out"), "--openvino"])
    with pytest.raises(ConfigError, match="'tflite' is not a format"):
        export.export(path, tmp_path / "out", formats=["tflite"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("in_python", [False, True])
def test_a_model_that_cannot_be_written_is_refused_in_a_line_and_nothing_is_left(
    in_python,
    monkeypatch,
    trained,
    tmp_path,
):
    def fail(graph, path):
        try:
            raise ValueError("no operator for fft\nand much more")
        except ValueError as error:
            raise RuntimeError("Failed to export the model. This is step 1/3") from error

    path = trained(NODES["static"])
    monkeypatch.setattr(onnx, "find_spec", lambda name: True)
    monkeypatch.setattr(onnx, "_write_onnx", fail)
    word = r"formats=\['onnx'\]" if in_python else "--onnx"
    failed = rf"^{word}: torch cannot export a StaticTower as ONNX \(ValueError: no operator for fft\)"
    said = failed + "; export without this format$"
    with pytest.raises(UserError, match=said):
        export.export(path, tmp_path / "out", formats=["onnx"], in_python=in_python)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"^{word} needs onnx"):
        export.export(path, tmp_path / "out", formats=["onnx"], in_python=in_python)


def test_python_names_arguments_where_the_command_line_has_words(trained, tmp_path):
    path = trained(NODES["static"])
    export.export(path, tmp_path / "out", in_python=True)
    with pytest.raises(ConfigError, match=r"or give force=True to replace an export"):
        export.export(path, tmp_path / "out", in_python=True)
