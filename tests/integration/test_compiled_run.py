"""A run whose towers go through torch.compile: the losses of the plain run, and weights under the same names."""

from __future__ import annotations

import csv

import jaxtyping
import pytest
import torch

from hardneg.commands import train
from hardneg.encoders.fixed_shapes import Compiler

FEW = ["data=toy", "encoder=transformer", "encoder.layers=1", "encoder.dropout=0.0", "encoder.tokens=512"]
FEW += [
    "batch_size=16",
    "trainer.max_steps=2",
    "trainer.log_every_n_steps=1",
    "logger=csv",
    "split.dev=null",
    "split.test=null",
]


def losses(folder):
    with (folder / "metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]


def test_a_compiled_run_has_the_losses_of_the_plain_one(hardneg, bert, tmp_path, monkeypatch):
    made, shapes = [], set()

    def backend(graph, inputs):  # runs what was traced as it is: generated code takes minutes to build
        shapes.add(tuple(tuple(one.shape) for one in inputs))
        return graph.forward

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the tests' own checks of shapes are not traced
    monkeypatch.setattr(train, "Compiler", lambda longest: made.append(Compiler(longest, backend)) or made[-1])
    run = [*FEW, f"encoder.model={bert}", "encoder.query.max_length=20", "encoder.document.max_length=60"]
    hardneg("train", *run, "hydra.run.dir=plain")
    assert not made
    torch._dynamo.reset()
    hardneg("train", *run, "trainer.compile=true", "hydra.run.dir=compiled")
    torch._dynamo.reset()
    assert shapes and [one.longest for one in made] == [60]
    assert len(losses(tmp_path / "plain")) == 2
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-4)
    states = [
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("plain", "compiled")
    ]
    assert states[0].keys() == states[1].keys()
