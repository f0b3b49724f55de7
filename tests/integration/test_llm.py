"""Decoders as towers through the command line: adapters, stages, interruptions, and weights split over ranks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from decoders import save_decoder
from every import some
from interrupts import CODES
from run_folders import end_state, last, same

from hardneg.data.toy import Toy

TOY = ["data=toy", "logger=csv", "batch_size=32", "trainer.precision=32-true", "evaluate.bm25=null"]
NV_EMBED = ["encoder.bidirectional=true", "encoder.pooling=latent_attention", "encoder.latents.count=8"]
NV_EMBED += ["encoder.latents.heads=2", "encoder.lora.r=2", "encoder.lr=1e-2"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    toy = Toy().load()
    words = {word for texts in (toy.corpus, toy.queries) for text in texts.texts.to_pylist() for word in text.split()}
    return save_decoder(tmp_path_factory.mktemp("decoder"), sorted(words), "mistral")


@pytest.fixture
def llm(decoder):
    return [*TOY, "encoder=llm", f"encoder.model={decoder}", "encoder.document.max_length=24"]


def results(run):
    return json.loads((run / "summary.json").read_text())


def test_two_stages_as_nv_embed_has_them(hardneg, llm, tmp_path):
    """Stage 1 on in-batch and hard negatives, stage 2 on hard ones alone, from the weights of stage 1."""
    stage = [*llm, *NV_EMBED, "trainer.max_epochs=1"]
    hardneg("train", *stage, "negatives=[in_batch,bm25]", "hydra.run.dir=one")
    start = "init_from=one/checkpoints/best.ckpt"
    hardneg("train", *stage, "negatives=[bm25]", start, "trainer.max_steps=2", "hydra.run.dir=two")
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one["test"]["after"] != one["test"]["before"]
    assert two["test"]["before"] == one["test"]["after"]
    state = last(tmp_path / "two")
    assert state["global_step"] == two["steps"] == 2
    assert not [name for name in state["state_dict"] if name.endswith("base_layer.weight")], "the base stays out of it"

    hardneg("evaluate", "data=toy", "ckpt_path=two/checkpoints/best.ckpt", "hydra.run.dir=again")
    assert results(tmp_path / "again")["test"]["checkpoint"] == two["test"]["after"]

    shown = hardneg("train", *stage, "encoder.lora.r=4", start, "hydra.run.dir=no", code=2).stderr
    assert "init_from=one/checkpoints/best.ckpt does not fit this encoder" in shown and "size mismatch" in shown


def test_a_run_with_adapters_that_was_killed_ends_with_the_same_weights(hardneg, hardneg_process, llm, tmp_path):
    arguments = [*llm, "encoder.lora.dropout=0.1", "trainer.max_epochs=1", "checkpoint.every_n_steps=4"]
    arguments += ["evaluate.before=false"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGKILL}"
    hardneg_process("train", *arguments, stop, "hydra.run.dir=cut", code=CODES["SIGKILL"])
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None


@pytest.mark.slow
@pytest.mark.parametrize("rank", some(["null", 4]))
def test_split_over_two_ranks_it_is_the_run_of_one_also_when_interrupted(hardneg, hardneg_process, llm, tmp_path, rank):
    common = [*llm, f"encoder.lora.r={rank}", "encoder.dtype=float32", "trainer.max_epochs=1"]
    common += ["negatives=[in_batch,bm25]", "checkpoint.every_n_steps=4", "trainer.precision=32-true"]
    hardneg("train", *common, "hydra.run.dir=one")
    two = [*common, "batch_size=16", "trainer=fsdp2", "trainer.devices=2", "trainer.accelerator=cpu"]
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 7, signal_name: SIGTERM, rank: 1}"
    hardneg_process("train", *two, stop, "hydra.run.dir=two", code=143)
    hardneg_process("resume", "two")
    one, two = (last(tmp_path / run) for run in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 11
    assert one["state_dict"].keys() == two["state_dict"].keys()
    for key, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][key], value, rtol=1e-4, atol=1e-5)
    hardneg("evaluate", "data=toy", "ckpt_path=two/checkpoints/best.ckpt", "hydra.run.dir=again", "precision=32-true")
    # By the scores of the places: ranks embed the corpus in other parts, and rounding may swap two documents.
    again, after = (np.loadtxt(tmp_path / run / "test.run", usecols=4) for run in ("again", "two"))
    np.testing.assert_allclose(again, after, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_split_weights_mine(hardneg_process, llm, tmp_path):
    two = [*llm, "trainer=fsdp2", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_epochs=2"]
    hardneg_process("train", *two, "negatives=[in_batch,mined]", "hydra.run.dir=two")
    state = last(tmp_path / "two")
    (stores,) = state["callbacks"]["Remine"]["stores"].values()
    assert len(set(stores)) == 2, "other weights, another store"
