"""Each computing type trains, or is refused with its reason; clipping under a scaler is clipping without one."""

from __future__ import annotations

import copy
from functools import partial

import lightning as L
import pytest
import torch
from combinations import QUIET, make_module, make_world
from confs import compose
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import SGD, AdamW

from hardneg.config import classes
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError
from hardneg.preflight import machine
from hardneg.preflight.config import check_computing, check_words
from hardneg.training.base import clip
from hardneg.training.callbacks.log_steps import LogSteps
from hardneg.training.callbacks.moving_average import MovingAverage
from hardneg.training.precision import trainer_arguments


@pytest.fixture(scope="module")
def world(toy, tmp_path_factory):
    return make_world(toy, tmp_path_factory.mktemp("world"))


def trained(world, arguments, optimizer, steps=3, **more):
    parts = world.parts(negatives="in_batch", loss="infonce", filter="known_positives")[1]
    parts["loss"]["infonce"].log_temperature.requires_grad_()
    module, batches = make_module(world, *parts.values(), optimizer=optimizer)
    trainer = L.Trainer(max_steps=steps, accelerator="cpu", **arguments, **QUIET, **more)
    trainer.fit(module, batches)
    return module


def weights_of(module):
    return torch.cat([p.detach().float().flatten() for p in module.parameters()])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("optimizer", [partial(AdamW, lr=0.01, fused=True), partial(SGD, lr=1.0)], ids=["fused", "SGD"])
def test_a_scaled_step_is_clipped_as_one_that_is_not(world, optimizer, algorithm):
    """What 16-mixed does, with the scaler that there is for CPUs."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaled = MixedPrecision("16-mixed", "cpu", scaler)
    limits = {"gradient_clip_val": 1e-3, "gradient_clip_algorithm": algorithm}
    half = weights_of(trained(world, {"plugins": [scaled]}, optimizer, **limits))
    whole = weights_of(trained(world, {"precision": "32-true"}, optimizer, **limits))
    start = weights_of(world.towers)
    moved = (whole - torch.cat([start, whole[len(start) :]])).norm()
    assert scaler.get_scale() == 2.0**10 and moved > 0
    assert (half - whole).norm() < 0.02 * moved


@pytest.mark.parametrize("factor", [None, torch.tensor(65536.0)])
def test_clipping_is_that_of_torch(factor):
    for algorithm in ("norm", "value"):
        ours = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2, 2))]
        for seed, p in enumerate(ours):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))
        theirs = copy.deepcopy(ours)
        for mine, other in zip(ours, theirs, strict=True):
            other.grad = mine.grad.clone()
            mine.grad *= 1 if factor is None else factor
        clip(ours, 0.5, algorithm, factor)
        (torch.nn.utils.clip_grad_value_ if algorithm == "value" else torch.nn.utils.clip_grad_norm_)(theirs, 0.5)
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine.grad / (1 if factor is None else factor), other.grad)


class Norms(LogSteps):
    """Keep the norms that are logged."""

    def __init__(self):
        self.found = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        log, pl_module.log_dict = pl_module.log_dict, self.found.append
        super().on_before_optimizer_step(trainer, pl_module, optimizer)
        pl_module.log_dict = log


@pytest.mark.parametrize("fused", [True, False])
def test_a_scaled_steps_norm_is_logged_without_the_scale(world, fused):
    optimizer = partial(AdamW, lr=0.01, fused=fused)
    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))
    half, whole = Norms(), Norms()
    trained(world, {"plugins": [scaled]}, optimizer, log_every_n_steps=1, callbacks=[half])
    trained(world, {"precision": "32-true"}, optimizer, log_every_n_steps=1, callbacks=[whole])
    one, two = (torch.stack([row["train/grad_norm"] for row in norms.found]) for norms in (half, whole))
    assert len(one) == 3
    torch.testing.assert_close(one, two, rtol=0.02, atol=0.0)


def test_a_step_that_overflows_is_skipped(world):
    optimizer = partial(AdamW, lr=0.01, fused=True)
    scaled = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=torch.finfo(torch.float32).max))
    module = trained(world, {"plugins": [scaled]}, optimizer, steps=1, gradient_clip_val=1.0)
    assert torch.equal(weights_of(module.towers), weights_of(world.towers))


def test_bf16_true_holds_the_encoder_in_bfloat16_and_learns_as_float32_does(world):
    optimizer = partial(AdamW, lr=0.05, fused=True)
    half = trained(world, trainer_arguments("bf16-true"), optimizer, gradient_clip_val=1.0)
    whole = trained(world, trainer_arguments("32-true"), optimizer, gradient_clip_val=1.0)
    assert {p.dtype for p in half.towers.parameters()} == {torch.bfloat16}
    assert half.losses["infonce"].log_temperature.dtype == torch.float32
    start = weights_of(world.towers)
    one, two = (weights_of(module.towers) - start for module in (half, whole))
    assert torch.cosine_similarity(one, two, dim=0) > 0.97


@pytest.mark.parametrize("several", [True, False])
def test_weights_in_bfloat16_leave_other_plugins_in_place(several):
    """As one that writes checkpoints in the background, or that keeps SLURM from starting a job again."""
    other = {"_target_": "lightning.pytorch.plugins.io.AsyncCheckpointIO"}
    asked = {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "logger": False}
    more = trainer_arguments("bf16-true", [other] if several else other)
    strategy = classes.build({**asked, **more}).strategy
    assert type(strategy.checkpoint_io).__name__ == "AsyncCheckpointIO"
    assert type(strategy.precision_plugin).__name__ == "BF16Weights"


def test_a_slow_tower_follows_weights_in_bfloat16_as_it_follows_others(toy, tmp_path):
    """Held in bfloat16, of which a thousandth of a difference is less than the last digit, it stood still."""
    world = make_world(toy, tmp_path, "encoder.momentum=0.999")
    optimizer = partial(AdamW, lr=0.05, fused=True)
    half = trained(world, trainer_arguments("bf16-true"), optimizer, steps=8)
    whole = trained(world, trainer_arguments("32-true"), optimizer, steps=8)
    assert {p.dtype for p in half.towers.towers.parameters()} == {torch.bfloat16}
    one, two = (weights_of(module.towers.slow) - weights_of(world.towers.slow) for module in (half, whole))
    assert torch.cosine_similarity(one, two, dim=0) > 0.97
    assert one.norm().item() == pytest.approx(two.norm().item(), rel=0.05)


def test_weights_in_bfloat16_are_averaged_in_float32(world):
    optimizer, averages = partial(AdamW, lr=0.05, fused=True), []
    for precision in ("bf16-true", "32-true"):
        callback = MovingAverage(decay=0.999, warmup=False)
        trained(world, trainer_arguments(precision), optimizer, steps=8, callbacks=[callback])
        averages.append(callback._average_model.module.towers)
    assert {p.dtype for p in averages[0].parameters()} == {torch.float32}
    one, two = (weights_of(towers) - weights_of(world.towers) for towers in averages)
    assert torch.cosine_similarity(one, two, dim=0) > 0.97


@pytest.mark.parametrize(
    ("precision", "why"),
    [
        ("64-true", "no more digits"),
        ("16-true", "NaN"),
        ("64", "no more digits"),
        ("half", "is no precision"),
        ("32-mixed", "no precision"),
    ],
)
def test_what_does_not_train_is_refused_with_its_reason(precision, why):
    with pytest.raises(ConfigError, match=rf"trainer.precision={precision} .*{why}.*bf16-true"):
        check_words(compose(f"trainer.precision={precision}"))


def test_float16_on_a_cpu_is_refused_and_not_exchanged_for_bfloat16(monkeypatch):
    with pytest.raises(ConfigError, match=r"16-mixed .*takes a GPU"):
        check_words(compose("trainer.precision=16-mixed", "trainer.accelerator=cpu"))
    check_words(compose("trainer.precision=16-mixed"))  # a SLURM job is sent from where there may be none
    monkeypatch.setattr(machine, "_gpu", lambda: None)
    with pytest.raises(ConfigError, match="takes a GPU"):
        machine.check_machine(compose("trainer.precision=16-mixed", "logger=csv"))


@pytest.mark.parametrize("precision", ["auto", "32-true", "bf16-mixed", "bf16-true", "bf16", "32"])
def test_the_others_are_admitted(precision):
    machine.check_machine(compose(f"trainer.precision={precision}", "logger=csv"))
    check_words(compose(f"trainer.precision={precision}"))


@pytest.mark.parametrize("key", ["precision", "negatives.mined.miner.precision", "teacher.precision"])
def test_what_only_embeds_does_not_fall_back_to_float32_in_silence(key):
    line = {"precision": ("ckpt_path=x",), "teacher.precision": ("teacher=cross_encoder", "teacher.model=x")}
    command = "evaluate" if key == "precision" else "train"
    more = () if command == "evaluate" else ("negatives=[in_batch,mined]",)
    with pytest.raises(ConfigError, match=r"precision=bf16-true is for training at most.*bf16-mixed"):
        check_computing(classes.plain(compose(f"{key}=bf16-true", *more, *line.get(key, ()), name=command)))


def test_short_names_say_that_they_are_mixed():
    """Evaluation and mining read it from the name: trained in bfloat16, they computed in float32."""
    assert [resolve_precision(short, Static(), "cpu") for short in ("bf16", 16)] == ["bf16-mixed", "16-mixed"]
