"""A training step on a device: every combination gives the CPU's numbers, and its host never waits for the device."""

from __future__ import annotations

from functools import partial

import lightning as L
import pytest
import torch
from combinations import QUIET, make_module, refused, together
from confs import names

from hardneg.matrix.telemetry import by_source, random_cosine
from hardneg.negatives.swap import Swap
from hardneg.training.callbacks.swap_negatives import SwapNegatives

STEPS = 3
MET: dict[tuple[str, str], list[str]] = {}
for a_source, a_loss, a_rule in together(names("negatives"), names("loss"), names("filter")):
    MET.setdefault((a_source, a_loss), []).append(a_rule)


def parts_of(world, source, loss, rules):
    """The parts of a combination, every filter at work in live batches and every correction switched on."""
    _, parts = world.parts(negatives=source, loss=loss)
    filters = {name: world.parts(filter=name)[1]["filter"][name] for name in rules}
    for rule in filters.values():
        rule.at = "both"
    return {**parts, "filter": filters}


def losses_and_weights(world, parts, device, stand=None):
    """Train some steps by hand, as Lightning would; returns each step's loss, and the weights at the end."""
    module, batches = make_module(world, *parts.values(), optimizer=partial(torch.optim.AdamW, lr=0.1, fused=True))
    module.to(device)
    metrics = {}

    def log_step(total, parts, offered, kept, embeddings):
        metrics.update(by_source(offered, kept, module.losses.values()))
        metrics.update({name: random_cosine(rows) for name, rows in embeddings.items()})

    module.log_step = log_step
    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer = module.make_optimizer([{"params": trained}])
    totals = []
    for batch in batches.train_dataloader():
        moved = batches.transfer_batch_to_device(batch, torch.device(device), 0)
        optimizer.zero_grad()
        total = module.training_step(moved, 0)
        total.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        totals.append(total.detach())
        if stand is not None and len(totals) > 1:  # what the first step builds may wait
            assert stand.waits == {}
        if stand is not None:
            stand.waits.clear()
    assert len(totals) == STEPS
    if stand is not None:
        assert all(stand.holds(part) for part in (*module.parameters(), *module.buffers()))
    return torch.stack(totals).cpu(), torch.cat([p.detach().cpu().flatten() for p in trained])


@pytest.mark.parametrize("source", names("negatives"))
@pytest.mark.parametrize("loss", names("loss"))
def test_every_combination_gives_the_numbers_of_the_cpu_and_never_waits(world, device, source, loss, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    for rule in MET[source, loss]:
        parts = parts_of(world, source, loss, [rule])
        if refused(parts["negatives"][source], parts["loss"][loss], parts["filter"][rule]):
            continue
        totals, weights = losses_and_weights(world, parts, device.device, device)
        expected_totals, expected = losses_and_weights(world, parts_of(world, source, loss, [rule]), "cpu")
        device.same(totals, expected_totals)
        device.same(weights, expected)


class Waits(L.Callback):
    """Counts from the end of the first step to that of the last, whatever Lightning does between them included."""

    def __init__(self, device):
        self.device, self.counted = device, None

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.global_step == 1:
            self.device.waits.clear()
        if trainer.global_step == STEPS:
            self.counted = dict(self.device.waits)


@pytest.mark.parametrize("source", names("negatives"))
def test_lightning_does_not_wait_between_steps_either(world, device, source, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")
    waits = Waits(device)
    module, batches = make_module(world, *parts_of(world, source, "infonce", []).values())
    arguments = {"max_steps": STEPS, "log_every_n_steps": 1, "gradient_clip_val": 1.0, "callbacks": [waits]}
    L.Trainer(**arguments, **device.trainer(), **QUIET).fit(module, batches)
    assert waits.counted == {}


def test_swapping_waits_only_when_the_steps_are_up(world, device, monkeypatch):
    """Between the looks nothing does; with a look at every step the negatives swapped are those of the CPU."""
    monkeypatch.setenv("HARDNEG_TARGETS", "newcomers.")

    def trained(every, **arguments):
        parts = parts_of(world, "bm25", "infonce", [])
        source = parts["negatives"]["bm25"]
        source.swap = Swap(every, floor=0.5)
        module, batches = make_module(world, *parts.values())
        swapping = SwapNegatives(parts["negatives"], module.names)
        callbacks = [swapping, *arguments.pop("callbacks", ())]
        L.Trainer(max_steps=STEPS, callbacks=callbacks, **arguments, **QUIET).fit(module, batches)
        return source.swapped.out(world.training.queries)

    waits = Waits(device)
    assert not trained(100, callbacks=[waits], **device.trainer()).any() and waits.counted == {}
    out = trained(1, **device.trainer())
    assert out.any()
    if device.exact:
        assert (out == trained(1, accelerator="cpu")).all()
