"""A run that was interrupted anywhere ends with the same weights, bit for bit, as one that was not."""

from __future__ import annotations

import json
import shlex

import pytest
import torch
from every import in_turn
from interrupts import CODES
from omegaconf import OmegaConf
from run_folders import but_for_times, column, end_state, last, same

COMMON = ["negatives=[in_batch,bm25,random]", "trainer.max_epochs=2", "logger=csv", "checkpoint.every_n_steps=4"]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A random BERT with dropout, so that the dropout masks must be resumed too."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = {w: i for i, w in enumerate(["[PAD]", "[UNK]", *(c + v for c in "bdfgjklmnprtvz" for v in "aeiou")])}
    tokenizer = Tokenizer(
        models.WordPiece(words | {f"##{w}": i + len(words) for w, i in words.items()}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    return folder


ENCODERS = ["static", "transformer", "momentum", "features"]


@pytest.mark.parametrize(("encoder", "name"), in_turn(ENCODERS, list(CODES)))
def test_interrupted_and_resumed_equals_uninterrupted(
    hardneg, hardneg_process, small, tmp_path, tiny_model, encoder, name
):
    arguments = [*small, *COMMON]
    if encoder == "transformer":
        arguments = [a for a in arguments if not a.startswith("encoder.dim")]
        arguments += ["encoder=transformer", f"encoder.model={tiny_model}", "encoder.tokens=500"]
        arguments += ["trainer.precision=32-true", "loss.infonce.learn_temperature=true"]
    if encoder == "momentum":
        arguments += ["negatives=[in_batch,queue,random]", "negatives.queue.size=100", "encoder.momentum=0.9"]
        # and a teacher of vectors, to which a projection is learnt
        arguments += ["loss=[infonce,gor,embed_distill]", "+encoder@loss.embed_distill.teacher.encoder=static"]
        arguments += ["loss.embed_distill.teacher.encoder.dim=12", "loss.embed_distill.documents=all"]
    if encoder == "features":
        arguments = ["data=interactions", "data.users=400", "encoder=features", *arguments[1:], "encoder.unknown=0.2"]
        arguments += ["negatives=[in_batch,queue,random]", "negatives.queue.size=100", "encoder.matryoshka=[8]"]
        arguments += ["negatives.in_batch.logq=true", "negatives.queue.logq=true", "loss.infonce.hardness=5.0"]
        arguments += ["filter=[known_positives,guide]", "+encoder@filter.guide.encoder=static"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = f"+callbacks.stop={{_target_: interrupts.Interrupt, step: 7, signal_name: {name}}}"
    done = hardneg_process("train", *arguments, stop, "hydra.run.dir=cut", code=CODES[name])
    if name == "SIGTERM":
        assert "hardneg resume" in done.stderr
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None
    assert but_for_times(tmp_path / "whole") == but_for_times(tmp_path / "cut")


def test_resume_at_an_epoch_end_goes_on_with_the_next_epoch(hardneg, hardneg_process, small, tmp_path):
    arguments = [*small, *COMMON, "trainer.max_epochs=3"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = (
        "+callbacks.stop={_target_: interrupts.Interrupt, step: 12, signal_name: SIGKILL}"  # the second epoch's first
    )
    hardneg_process("train", *arguments, stop, "hydra.run.dir=cut", code=CODES["SIGKILL"])
    assert last(tmp_path / "cut")["global_step"] == 11
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None


def test_a_complete_run_is_not_trained_again(hardneg, small):
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=done")
    assert "is complete" in hardneg("resume", "done", code=2).stderr


def test_the_command_that_is_printed_for_other_words_trains_the_other_run(hardneg, small, tmp_path):
    hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "seed=1", "hydra.run.dir=done")
    for word, run, first in (("seed=5", "other", 1), ("trainer.max_epochs=2", "longer", 12)):
        said = hardneg("resume", "done", word, code=2).stderr
        _, *words = shlex.split(said.partition(":  ")[2].replace("hydra.run.dir=NEW", f"hydra.run.dir={run}"))
        hardneg(*words)
        steps = [step for step, _ in column(tmp_path / run, "train/loss")]
        assert steps[0] == first and steps[-1] == (11 if run == "other" else 22)


def test_stopped_while_its_words_are_written_again_a_run_still_goes_on(hardneg, small, tmp_path, monkeypatch):
    """Hydra writes its files anew when a run goes on, and empties each before it composes the text."""
    words = [*small, *COMMON, "trainer.max_epochs=1"]
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 5, signal_name: SIGTERM}"
    hardneg("train", *words, stop, "hydra.run.dir=cut", code=143)
    to_yaml = OmegaConf.to_yaml
    for what in ("hydra", "data=toy"):  # is in hydra.yaml, in overrides.yaml

        def interrupted(node, what=what, **how):
            if what in node:
                raise KeyboardInterrupt
            return to_yaml(node, **how)

        with monkeypatch.context() as within:
            within.setattr("omegaconf.OmegaConf.to_yaml", interrupted)
            assert "interrupted" in hardneg("resume", "cut", code=130).stderr
    hardneg("resume", "cut")
    hardneg("train", *words, "hydra.run.dir=whole")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None


def test_resuming_what_is_no_run_says_so(hardneg, tmp_path):
    assert "not a run folder" in hardneg("resume", str(tmp_path), code=2).stderr


def test_with_workers_the_run_is_the_same(hardneg, small, tmp_path):
    arguments = [*small, *COMMON, "trainer.max_epochs=1"]
    hardneg("train", *arguments, "hydra.run.dir=none")
    hardneg("train", *arguments, "num_workers=2", "hydra.run.dir=two")
    assert same(end_state(tmp_path / "none"), end_state(tmp_path / "two")) is None


def test_a_kill_before_the_epochs_evaluation_does_not_lose_it(hardneg, hardneg_process, small, tmp_path):
    # A step checkpoint falls on the epoch's last batch (11), and the kill comes before the evaluation does.
    arguments = [*small, *COMMON, "checkpoint.every_n_steps=11"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    kill = "+callbacks.kill={_target_: interrupts.KillInEvaluation}"
    hardneg_process("train", *arguments, kill, "hydra.run.dir=cut", code=CODES["SIGKILL"])
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None
    one, two = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("whole", "cut"))
    assert one["dev"] == two["dev"] and one["test"] == two["test"]


def test_a_run_that_ended_within_an_epoch_is_trained_on_from_there(hardneg, small, tmp_path):
    """Of 11 batches an epoch the second had 4; the others were left out, and there were 26 steps in place of 33."""
    plain = [*small, "logger=csv", "schedule=constant", "schedule.warmup=0.0", "evaluate.bm25=null"]
    hardneg("train", *plain, "trainer.max_steps=33", "hydra.run.dir=whole")
    hardneg("train", *plain, "trainer.max_steps=15", "hydra.run.dir=short")
    on = ["trainer.max_steps=33", "ckpt_path=short/checkpoints/last.ckpt", "hydra.run.dir=longer"]
    assert "continues with" not in hardneg("train", *plain, *on).stderr
    assert end_state(tmp_path / "longer")["global_step"] == 33
    one, two = (end_state(tmp_path / run)["state_dict"] for run in ("whole", "longer"))
    assert same(one, two) is None
    other = ["optimizer.lr=0.5", "loss.infonce.temperature=0.2"]
    faster = hardneg("train", *plain, *on[:2], *other, "hydra.run.dir=faster").stderr
    assert "continues with the checkpoint's learning rate" in faster and "not with 0.5" in faster
    assert "continues with the checkpoint's loss.infonce.temperature, 0.05, and not with 0.2" in faster
