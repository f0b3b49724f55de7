"""Which mined lists a run that mines again may remove."""

from __future__ import annotations

from unittest.mock import Mock

import lightning as L

from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.retrieval.model import Model
from hardneg.training.callbacks.remine import Remine


def test_the_lists_that_last_ckpt_names_are_kept_however_many_better_checkpoints_came_since():
    again = Remine({"mined": Mock(spec=Stored)}, Mock(spec=Setting, owner=None), Mock(spec=Model), keep_last=2)
    for step, store in (
        (10, "a"),
        (20, "b"),
        (30, "c"),
        (40, "d"),
        (50, "e"),
    ):  # last.ckpt is of 20, the others best.ckpt
        again.stores["mined"].append(store)
        again.on_save_checkpoint(Mock(spec=L.Trainer, global_step=step), Mock(spec=L.LightningModule), {})
    again._forget(step=20)
    assert again.stores["mined"] == ["b", "c", "d", "e"]
    again._forget(step=50)
    assert again.stores["mined"] == ["d", "e"]


def test_a_run_that_goes_on_keeps_the_lists_of_its_checkpoint_until_it_has_written_one():
    again = Remine({"mined": Mock(spec=Stored)}, Mock(spec=Setting, owner=None), Mock(spec=Model), keep_last=2)
    again.load_state_dict({"round": 1, "step": 10, "stores": {"mined": ["a"]}})
    again.stores["mined"] += ["b", "c", "d"]
    again._forget(step=0)
    assert again.stores["mined"] == ["a", "c", "d"]


def test_the_lists_of_a_source_that_rests_are_kept_while_another_of_the_same_recipe_mines_on():
    """A curriculum rests one of two sources that mined the same list: the next checkpoint names it."""
    sources = {"near": Mock(spec=Stored), "far": Mock(spec=Stored)}
    again = Remine(sources, Mock(spec=Setting, owner="run"), Mock(spec=Model), keep_last=2)
    released = []
    again._release = released.extend
    again.stores = {"near": ["a"], "far": ["a"]}
    for store in ("b", "c", "d"):
        again.stores["near"].append(store)
        again._forget(step=0)
    assert released == ["b"] and again.stores == {"near": ["a", "c", "d"], "far": ["a"]}
    again.stores["far"].append("d")
    again._forget(step=0)
    assert released == ["b"], "two rounds of the source that rested"
    again.stores["far"].append("e")
    again.stores["near"].append("e")
    again._forget(step=0)
    assert released == ["b", "a", "c"] and again.stores == {"near": ["d", "e"], "far": ["d", "e"]}
