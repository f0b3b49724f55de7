"""`batch_size=auto`: a number from the encoder, the queries and the memory, the same when a run goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from hardneg.config.run_identity import identity
from hardneg.data.same_set_batches import Order
from hardneg.data.tokens import TokenTable
from hardneg.encoders.static import Static
from hardneg.encoders.towers import Towers
from hardneg.errors import ConfigError
from hardneg.negatives.queue import Queue
from hardneg.negatives.random import Random
from hardneg.training import batch_size
from hardneg.training.auto_numbers import tell_found
from hardneg.training.batch_size import halved, longest_batch, planned, settle, trial_batch, why_smaller, within_memory

ENCODER = {"_target_": "hardneg.encoders.static.Static", "batch_size": 256}


@pytest.fixture(autouse=True)
def collected(monkeypatch):
    """Count how often memory is given back after a try; to look through all that tests have imported takes a second."""
    asked = []
    monkeypatch.setattr(batch_size, "garbage_collection_cuda", lambda: asked.append(None))
    return asked


def order(*sizes, **more):
    return Order({str(number): size for number, size in enumerate(sizes)}, **more)


@pytest.mark.parametrize(
    ("queries", "ranks", "found"),
    [
        *((100_000, 1, 256), (2048, 1, 256), (2047, 1, 128), (360, 1, 32), (128, 1, 16)),
        *((40, 1, 16), (9, 1, 9), (1, 1, 1)),  # at least 16, if there are so many
        *((2048, 2, 128), (20, 2, 10)),
    ],
)
def test_an_epoch_has_eight_steps_if_it_can(queries, ranks, found):
    assert planned("auto", ENCODER, order(queries), ranks) == found
    order(queries).check(found, ranks) if queries >= ranks else None


def test_a_number_is_taken_as_it_is_and_the_encoder_says_the_most():
    assert planned(300, ENCODER, order(100), 1) == 300
    assert planned("auto", {**ENCODER, "batch_size": 48}, order(10_000), 1) == 48
    assert planned("auto", {"_target_": "mine.Encoder"}, order(10_000), 1) == 64


def test_of_several_sets_each_fills_a_batch_unless_they_are_blended():
    assert planned("auto", ENCODER, order(10_000, 100), 1) == 100
    assert planned("auto", ENCODER, order(10_000, 100, blended=True), 1) == 256


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("# a comment\nseed: 1\nbatch_size: auto\n")
    (tmp_path / "status.json").write_text('{"state": "running", "pid": 1}')
    return tmp_path


def config(**more):
    return OmegaConf.create({"seed": 1, "batch_size": "auto", "encoder": ENCODER, "ckpt_path": None, **more})


def test_the_number_is_written_down_and_becomes_part_of_what_the_run_is(folder):
    cfg = config()
    found = settle(cfg, folder, order(1000))
    assert (found.batch_size, cfg.batch_size) == (64, "auto")
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").batch_size == 64
    noted = json.loads((folder / "status.json").read_text())
    assert noted["batch_size"] == 64 and noted["pid"] == 1
    assert noted["identity"] == identity(cfg, folder) == identity(config(batch_size=64))
    assert identity(cfg) == identity(config(batch_size=256)) != identity(cfg, folder), "before it is found"


def test_a_run_that_goes_on_takes_the_number_it_began_with(folder):
    going_on = config(ckpt_path=str(folder / "checkpoints" / "last.ckpt"))
    settle(config(), folder, order(1000))
    (folder / ".hydra" / "config.yaml").write_text("batch_size: auto\n")  # as Hydra writes it again
    assert settle(going_on, folder, order(100_000)).batch_size == 64
    assert not why_smaller(going_on, order(100_000), 64), "what there was when it began is not known"


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ((45,), "16, precision 32-true; 16 is fewer than encoder.batch_size=256 for 45 training queries"),
        (
            (5000, 100),
            "100, precision 32-true; 100 is fewer than encoder.batch_size=256 for the 100 training queries of 1, as a "
            "batch is of one set",
        ),
        ((5000,), "256, precision 32-true"),
    ],
)
def test_the_screen_says_why_a_batch_is_small(folder, caplog, sizes, found):
    asked = config(trainer={"precision": "auto"})
    cfg = settle(asked, folder, order(*sizes))
    caplog.clear()
    with caplog.at_level("INFO"):
        tell_found(asked, cfg, "32-true", why_smaller(asked, order(*sizes), cfg.batch_size))
        tell_found(config(batch_size=16, trainer={"precision": "auto"}), cfg, "32-true", "fewer than it might be")
    assert caplog.messages == [f"auto: batch_size {found}", "auto: precision 32-true"], "a number that was given"


def test_a_run_that_was_given_its_number_goes_on_with_it(folder, tmp_path):
    old = tmp_path / "old" / ".hydra"
    old.mkdir(parents=True)
    (old / "config.yaml").write_text("batch_size: 12\n")
    elsewhere = config(ckpt_path=str(old.parent / "checkpoints" / "last.ckpt"))
    assert settle(elsewhere, folder, order(100_000)).batch_size == 12


def test_one_query_needs_negatives_that_are_not_of_its_batch(folder):
    in_batch = {"_target_": "hardneg.negatives.in_batch.InBatch"}
    with pytest.raises(ConfigError, match="a batch for 1 training query has no negatives"):
        settle(config(negatives={"in_batch": in_batch}), folder, order(1))
    sets = Order({"large": 100_000, "tiny": 1}, blended=False)
    with pytest.raises(ConfigError, match="the 1 training query of tiny, as a batch is of one set"):
        settle(config(negatives={"in_batch": in_batch}), folder, sets)
    others = {"in_batch": in_batch, "random": {"_target_": "hardneg.negatives.random.Random", "k": 1}}
    assert settle(config(negatives=others), folder, order(1)).batch_size == 1


@pytest.mark.parametrize(
    ("sizes", "warned"), [((100_000, 20), 20), ((100_000, 100), None), ((300, 20), 20), ((40, 16), None)]
)
def test_a_small_set_that_makes_batches_small_in_all_is_named(folder, caplog, sizes, warned):
    sets = Order(dict(zip(("large", "tiny"), sizes, strict=True)))
    settle(config(), folder, sets)
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == (warned is not None)
    assert not told or told[0].startswith(f"batch_size: {warned} in every set, since tiny has no more queries")
    caplog.clear()
    settle(config(), folder, replace(sets, blended=True))
    assert not caplog.records


def test_blended_batches_are_not_advised_where_they_are_refused(folder, caplog):
    in_batch = {"_target_": "hardneg.negatives.in_batch.InBatch", "logq": True}
    settle(config(negatives={"in_batch": in_batch}), folder, Order({"large": 5000, "tiny": 20}))
    assert "where all together allow 256: leave tiny out" in caplog.text and "blended" not in caplog.text
    with pytest.raises(ConfigError, match=r"or leave the set out$"):
        settle(config(negatives={"in_batch": in_batch}), folder, Order({"large": 5000, "tiny": 1}))


def test_blended_batches_are_not_advised_beside_a_symmetric_loss_whose_sets_a_filter_keeps_apart(folder, caplog):
    loss = {"infonce": {"_target_": "hardneg.losses.infonce.InfoNCE", "symmetric": True}}
    rules = {"apart": {"_target_": "hardneg.filters.same_set.SameSet"}}
    sets = Order({"large": 5000, "tiny": 20})
    settle(config(loss=loss, filter=rules), folder, sets)
    assert "where all together allow 256: leave tiny out" in caplog.text and "blended" not in caplog.text
    for more in ({"loss": loss, "filter": {}}, {"loss": {}, "filter": rules}):
        caplog.clear()
        settle(config(**more), folder, sets)
        assert "take data.batches=blended" in caplog.text


def short_of(limit, error=None):
    """Fake a device that has memory for `limit` queries."""
    tried = []

    def tries(number):
        tried.append(number)
        if number > limit:
            raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    return tries, tried


@pytest.mark.parametrize("error", [None, RuntimeError("CUDA error: out of memory"), MemoryError()])
def test_the_batch_is_halved_until_memory_is_enough(error):
    tries, tried = short_of(40, error)
    assert halved(tries, 256) == 32 and tried == [256, 128, 64, 32]


def test_other_errors_are_told_and_no_memory_for_two_queries_is_an_error():
    with pytest.raises(RuntimeError, match="shapes"):
        halved(short_of(1, RuntimeError("shapes differ"))[0], 64)
    for start in (64, 3, 1):
        tries, tried = short_of(1 if start > 1 else 0)
        with pytest.raises(ConfigError, match=rf"no memory for a batch of {min(start, 2)}: .*encoder\.grad_cache=true"):
            halved(tries, start)
        assert tried[-1] == min(start, 2), "what is named was tried"


def test_what_memory_allows_is_noted_and_told(folder, caplog):
    cfg = within_memory(config(batch_size=64), folder, 64, short_of(20)[0])
    assert cfg.batch_size == 16 == json.loads((folder / "status.json").read_text())["batch_size"]
    assert "batch_size: 16, since this device has no memory for 64" in caplog.text
    assert "no memory for 64; encoder.grad_cache=true" in caplog.text
    assert within_memory(cfg, folder, 16, None) is cfg, "nothing to try"


@pytest.fixture
def towers(toy):
    recipe = Static(dim=4, vocab_size=200)
    return Towers(recipe, recipe.build(recipe.tokenizer(toy.corpus)))


def test_only_a_gpu_is_tried_and_only_where_the_batch_is_to_be_found(towers):
    trainer = {"strategy": "auto"}
    asked = {"auto": config(trainer=trainer), "given": config(trainer=trainer, batch_size=8)}
    asked["going on"] = config(trainer=trainer, ckpt_path="x/checkpoints/last.ckpt")
    asked["split"] = config(trainer={"strategy": {"_target_": "hardneg.training.fsdp.FSDP2"}})
    cuda = torch.device("cuda")
    tried = [name for name, cfg in asked.items() if trial_batch(cfg, towers, [], "32-true", cuda, 1)]
    assert tried == ["auto"]
    assert trial_batch(asked["auto"], towers, [], "32-true", torch.device("cpu"), 1) is None


@pytest.mark.parametrize(("ranks", "copies"), [(1, 2), (2, 3)])
def test_a_trial_holds_what_training_holds_beside_the_batch(toy, towers, tmp_path, monkeypatch, ranks, copies):
    recipe, held, like, empty = Static(dim=4, vocab_size=200), [], torch.empty_like, torch.empty
    table = TokenTable.build(toy.corpus, recipe.tokenizer(toy.corpus), recipe.document, tmp_path, "texts")
    monkeypatch.setattr("hardneg.system.distributed.world_size", lambda: ranks)
    monkeypatch.setattr(torch, "empty_like", lambda p: held.append(tuple(p.shape)) or like(p))
    monkeypatch.setattr(torch, "empty", lambda *shape, **how: held.append(shape) or empty(*shape, **how))
    asked = (config(trainer={"strategy": "auto"}), towers, (table, table), "32-true", torch.device("cuda"), 1)
    tried = []
    monkeypatch.setattr(batch_size, "longest_batch", lambda *given: tried.append(given))
    trial_batch(*asked, [Queue(size=50), Random(1)])(3)
    assert tried[0][2] == 3 and tried[0][-1] == 50
    longest_batch(towers, (table, table), 3, 1, torch.device("cpu"), queued=50)
    assert held.count((50, 4)) == 1 and held.count(tuple(next(towers.parameters()).shape)) == copies


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_a_trial_takes_the_longest_texts_and_leaves_all_as_it_was(toy, towers, tmp_path, monkeypatch, half):
    recipe = Static(dim=4, vocab_size=200)
    table = TokenTable.build(toy.corpus, recipe.tokenizer(toy.corpus), recipe.document, tmp_path, "texts")
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    random, tried, both = torch.get_rng_state(), [], towers.both
    monkeypatch.setattr(towers, "both", lambda q, d: tried.append((len(q), len(d), int(d.lengths.min()))) or both(q, d))
    longest_batch(towers, (table, table), 3, 2, torch.device("cpu"), half)
    assert tried == [(3, 6, int(np.sort(table.lengths)[-6]))]
    assert all(torch.equal(value, before[name]) for name, value in towers.state_dict().items())
    assert all(p.grad is None for p in towers.parameters()) and torch.equal(torch.get_rng_state(), random)
