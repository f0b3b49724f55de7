"""A run whose towers go through torch.compile: the losses of the plain run, and weights under the same names."""

from __future__ import annotations

import jaxtyping
import pytest
import torch
from run_folders import column, last

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
    plain, compiled = (dict(column(tmp_path / name, "train/loss")) for name in ("plain", "compiled"))
    assert len(plain) == 2 and compiled == pytest.approx(plain, rel=1e-4)
    states = [last(tmp_path / name)["state_dict"] for name in ("plain", "compiled")]
    assert states[0].keys() == states[1].keys()
