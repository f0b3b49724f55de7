"""Weights that are not what was written are refused, wherever they are read."""

from __future__ import annotations

import subprocess

import pytest
import torch

from hardneg.commands import export, import_
from hardneg.config import classes
from hardneg.encoders import checkpoint
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.file_hashes import check_hashes, check_intact
from hardneg.encoders.towers import Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.preflight.parts import check_checkpoints
from hardneg.teachers.cross_encoder import CrossEncoderTeacher

SIDE = {"_target_": "hardneg.data.tokens.Side", "max_length": 9}


@pytest.fixture
def written(toy, bert, tmp_path):
    """A checkpoint of a small transformer."""
    node = {"_target_": "hardneg.encoders.transformer.Transformer", "model": str(bert), "query": SIDE, "document": SIDE}
    recipe = classes.build(node).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    towers = Towers(recipe, recipe.build(tokenizer))
    weights = {f"towers.{key}": value for key, value in towers.state_dict().items()}
    card = checkpoint.card(node, recipe, tokenizer, towers)
    torch.save({"state_dict": weights, checkpoint.KEY: card, "optimizer_states": []}, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def flip(path, values):
    """Flip one bit of the weights `values`, where they lie in the file."""
    data = bytearray(path.read_bytes())
    place = data.find(values.numpy().tobytes())
    assert place > 0
    data[place + 3] ^= 0x40
    path.write_bytes(data)


def some_weight(state):
    return next(value for name, value in state.items() if name.endswith("word_embeddings.weight"))


def test_a_checkpoint_with_one_bit_flipped_in_its_weights_is_refused(written, tmp_path, monkeypatch):
    flip(written, some_weight(torch.load(written, weights_only=True)["state_dict"]))
    torch.load(written, weights_only=True)  # which notices nothing
    said = r"best\.ckpt is damaged: best/data/\d+ in it is not what was written .* take another checkpoint"
    for read in (checkpoint.load, checkpoint.check_resumable, checkpoint.tokenizer_of):
        with pytest.raises(ConfigError, match=said):
            read(written)
    with pytest.raises(ConfigError, match=said):
        export.main([str(written), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    for node in ({"init_from": str(written)}, {"x": {"miner": {"_target_": "a.B", "ckpt_path": str(written)}}}):
        with pytest.raises(ConfigError, match=said):
            check_checkpoints(node)


def test_a_whole_checkpoint_passes_and_so_does_one_written_over_it(written):
    check_intact(written, "ckpt_path")
    flip(written, some_weight(torch.load(written, weights_only=True)["state_dict"]))
    with pytest.raises(ConfigError, match="damaged"):
        check_intact(written, "ckpt_path")


def test_a_file_without_checksums_stays_readable(written):
    state = torch.load(written, weights_only=True)
    torch.save(state, written, _use_new_zipfile_serialization=False)
    assert checkpoint.load(written).towers.dim == 16


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_export_is_refused_as_what_it_was_exported_for(name, written, toy, tmp_path):
    folder = tmp_path / "out"
    export.main([str(written), str(folder)])
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    assert "model.safetensors: OK" in done.stdout and "tokenizer.json: OK" in done.stdout
    file = folder / name
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=rf"out/{name} is damaged.*take its line out of SHA256SUMS"):
        import_.main([str(folder), str(tmp_path / "back.ckpt")])
    recipe = Transformer(model=str(folder))
    with pytest.raises(ConfigError, match=rf"{name} is damaged"):
        recipe.build(recipe.tokenizer(toy.corpus))
    (folder / "SHA256SUMS").unlink()
    check_hashes(folder)  # as of a folder of another tool


def test_a_damaged_teacher_is_refused(toy, bert, tmp_path):
    CrossEncoder.load(str(bert), 32).save(tmp_path / "teacher")
    teacher = CrossEncoderTeacher(str(tmp_path / "teacher"))
    teacher.prepare(toy, tmp_path)
    assert teacher.identity()["max_length"] == 32, "as it was saved"
    file = tmp_path / "teacher/model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ConfigError, match=r"model\.safetensors is damaged"):
        CrossEncoderTeacher(str(tmp_path / "teacher")).prepare(toy, tmp_path)
    file.unlink()
    with pytest.raises(ConfigError, match=r"model\.safetensors is missing"):
        CrossEncoderTeacher(str(tmp_path / "teacher")).prepare(toy, tmp_path)


def test_code_that_a_checkpoint_names_is_run_only_by_consent(written, monkeypatch):
    state = torch.load(written, weights_only=True)
    state[checkpoint.KEY]["encoder"]["trust_remote_code"] = True
    torch.save(state, written)
    with pytest.raises(ConfigError, match=r"brings its own Python code.*HARDNEG_TRUST_REMOTE_CODE=1"):
        checkpoint.load(written)
    monkeypatch.setenv("HARDNEG_TRUST_REMOTE_CODE", "1")
    assert checkpoint.load(written).towers.dim == 16
