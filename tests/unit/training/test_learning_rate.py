"""`encoder.lr=auto`: a rate from the number of steps, the same when a run goes on."""

from __future__ import annotations

import json

import lightning as L
import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from hardneg.config.run_identity import identity, settings
from hardneg.data.same_set_batches import Order
from hardneg.encoders.features import Features
from hardneg.encoders.static import Static
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.training.batch_size import settle
from hardneg.training.learning_rate import planned_steps, settle_rate

ENCODER = {"_target_": "hardneg.encoders.static.Static", "lr": "auto"}
TRAINER = {"max_epochs": 3, "max_steps": -1, "accumulate_grad_batches": 1}


def config(**more):
    node = {"seed": 1, "batch_size": 10, "encoder": ENCODER, "ckpt_path": None, "trainer": TRAINER}
    return OmegaConf.create(node | {"optimizer": {"lr": "${encoder.lr}"}} | more)


class Line(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.line, self.steps = torch.nn.Linear(1, 1), None

    def training_step(self, batch, _):
        return self.line(batch[:, None]).sum()

    def configure_optimizers(self):
        self.steps = self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize(
    "more",
    [
        *({}, {"max_epochs": 2}, {"max_steps": 5}, {"max_steps": 500}, {"max_epochs": -1, "max_steps": 7}),
        *({"accumulate_grad_batches": 3}, {"limit_train_batches": 0.55}, {"limit_train_batches": 4}),
        *({"limit_train_batches": 100}, {"limit_train_batches": 0.55, "accumulate_grad_batches": 2, "max_epochs": 5}),
    ],
)
def test_steps_are_counted_as_lightning_counts_them(more, tmp_path):
    trainer, module = {**TRAINER, **more}, Line()
    fit = L.Trainer(
        **{**trainer, "max_steps": -1} if trainer["max_epochs"] == -1 else trainer, default_root_dir=tmp_path,
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, barebones=False,
        enable_model_summary=False,
    ) if trainer["max_epochs"] != -1 else None  # fmt: skip
    found = planned_steps(trainer, Order({"a": 97}), 10)
    if fit is None:
        assert found == 7
        return
    fit.fit(module, DataLoader(torch.zeros(97), batch_size=10, drop_last=True))
    assert found == module.steps == fit.global_step


def test_batches_of_several_sets_and_ranks_count():
    assert planned_steps(TRAINER, Order({"a": 97, "b": 35}), 10) == 3 * (9 + 3)
    assert planned_steps(TRAINER, Order({"a": 97, "b": 35}, blended=True), 10) == 3 * 13
    assert planned_steps(TRAINER, Order({"a": 97}), 20) == 3 * 4


def test_the_rate_falls_as_steps_rise_within_two_ends():
    rates = [Static(lr="auto").learning_rate(steps) for steps in (1, 10, 50, 200, 1000, 100_000)]
    assert rates == sorted(rates, reverse=True) and rates[0] == rates[1] > rates[-2] == rates[-1]
    assert Static(lr=0.3).learning_rate(1) == Static(lr=0.3).learning_rate(10_000) == 0.3


@pytest.mark.parametrize("recipe", [Features, lambda **more: Transformer(model="minilm", **more)])
def test_other_encoders_need_a_number(recipe):
    with pytest.raises(ConfigError, match=r"encoder\.lr=auto is for encoder=static"):
        recipe(lr="auto")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("# a comment\nseed: 1\nencoder: {lr: auto, dim: 8}\n")
    (tmp_path / "status.json").write_text('{"state": "running", "pid": 1, "batch_size": 10}')
    return tmp_path


def test_the_rate_is_said_written_down_and_becomes_part_of_what_the_run_is(folder, caplog):
    cfg, order = config(), Order({"a": 1000})
    with caplog.at_level("INFO"):
        found = settle_rate(cfg, folder, order)
    rate = Static(lr="auto").learning_rate(300)
    assert found.encoder.lr == found.optimizer.lr == rate and cfg.encoder.lr == "auto"
    assert caplog.messages == [f"encoder.lr: {rate:g}, as encoder.lr=auto takes it for 300 steps"]
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").encoder == {"lr": rate, "dim": 8}
    noted = json.loads((folder / "status.json").read_text())
    assert noted["learning_rate"] == rate and noted["batch_size"] == 10
    assert noted["identity"] == identity(cfg, folder) == identity(config(encoder=ENCODER | {"lr": rate}))
    assert identity(cfg) not in (identity(config(encoder=ENCODER | {"lr": 0.01})), identity(cfg, folder)), "open before"


def test_a_run_that_goes_on_takes_the_rate_it_began_with(folder, tmp_path):
    last = str(folder / "checkpoints" / "last.ckpt")
    before = settle_rate(config(), folder, Order({"a": 1000})).encoder.lr
    (folder / ".hydra" / "config.yaml").write_text("encoder: {lr: auto}\n")  # as Hydra writes it again
    assert settle_rate(config(ckpt_path=last), folder, Order({"a": 10})).encoder.lr == before
    old = tmp_path / "old" / ".hydra"
    old.mkdir(parents=True)
    elsewhere = config(ckpt_path=str(old.parent / "checkpoints" / "last.ckpt"))
    (old / "config.yaml").write_text("encoder: {lr: 0.7}\n")  # as it was given
    assert settle_rate(elsewhere, folder, Order({"a": 1000})).encoder.lr == 0.7


def test_a_checkpoint_that_was_copied_says_what_its_run_began_with(folder, tmp_path):
    copied = tmp_path / "else" / "where" / "copied.ckpt"
    copied.parent.mkdir(parents=True)
    going_on = config(ckpt_path=str(copied), batch_size="auto")
    held = {"hardneg": {"encoder": {"lr": 0.007}}, "datamodule_hyper_parameters": {"batch_size": 48}}
    torch.save(held, copied)
    found = settle_rate(settle(going_on, folder, Order({"a": 1000})), folder, Order({"a": 1000}))
    assert (found.encoder.lr, found.batch_size) == (0.007, 48)


def test_a_run_that_was_given_a_checkpoint_stays_the_run_it_is_when_it_goes_on(folder, tmp_path):
    """A sweep asks for it again by its own words, which name the other run's checkpoint."""
    asked, own = config(ckpt_path=str(tmp_path / "other" / "checkpoints" / "last.ckpt")), folder / "checkpoints"
    rate = settle_rate(asked, folder, Order({"a": 1000})).encoder.lr
    settle(config(ckpt_path=str(own / "last.ckpt"), batch_size="auto"), folder, Order({"a": 1000}))
    settle_rate(config(ckpt_path=str(own / "last.ckpt")), folder, Order({"a": 1000}))
    noted = json.loads((folder / "status.json").read_text())
    assert noted["identity"] == identity(asked, folder) and noted["learning_rate"] == rate and noted["batch_size"] == 10


def test_an_optimizer_with_a_rate_of_its_own_leaves_the_encoders_open(folder):
    given = config(optimizer={"lr": 0.005})
    assert settle_rate(given, folder, Order({"a": 1000})) is given
    in_a_group = config(optimizer={"lr": 0.005, "groups": {"embeddings": {"lr": "${encoder.lr}"}}})
    assert settle_rate(in_a_group, folder, Order({"a": 1000})).encoder.lr != "auto"
    assert settings(in_a_group)["encoder.lr"] == settings(given)["encoder.lr"] == "auto"
