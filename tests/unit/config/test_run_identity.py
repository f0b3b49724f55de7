"""A run is known by what decides its results, not by how it is kept and shown."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hardneg.config import composition
from hardneg.config.moved import todays_word
from hardneg.config.run_identity import identity, settings

CFG = {
    "seed": 1, "batch_size": 32, "num_workers": 0, "cache": "/a", "ckpt_path": None, "run_name": "${seed}",
    "optimizer": {"lr": 0.1}, "logger": {"csv": {"x": 1}}, "trainer": {"enable_progress_bar": True, "devices": 1},
    "filter": {"a": {"m": 1}, "b": {"m": 2}}, "hydra": {"job": {"num": 3}},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    ["num_workers=4", "cache=/b", "logger={}", "trainer.enable_progress_bar=false", "hydra.job.num=0", "run_name=x"],
)
def test_what_only_says_how_a_run_is_kept_and_shown_does_not_count(change):
    assert identity(OmegaConf.merge(CFG, OmegaConf.from_dotlist([change]))) == identity(CFG)


@pytest.mark.parametrize(
    "change", ["seed=2", "batch_size=33", "optimizer.lr=0.2", "ckpt_path=x.ckpt", "trainer.devices=2"]
)
def test_what_decides_the_results_does(change):
    assert identity(OmegaConf.merge(CFG, OmegaConf.from_dotlist([change]))) != identity(CFG)


def test_the_order_of_filters_counts_and_that_of_other_keys_does_not():
    turned = {key: CFG[key] for key in reversed(CFG)}
    assert identity(turned) == identity(CFG)
    assert identity(CFG | {"filter": {"b": {"m": 2}, "a": {"m": 1}}}) != identity(CFG)


def test_a_run_that_goes_on_is_the_same_run(tmp_path):
    resumed = CFG | {"ckpt_path": str(tmp_path / "checkpoints" / "last.ckpt")}
    assert identity(resumed, tmp_path) == identity(CFG) != identity(resumed)


def test_the_resolver_names_the_whole_config_as_it_is_written():
    composition.register_resolvers()
    cfg = OmegaConf.create(CFG | {"hydra": {"subdir": "run_${identity:}"}})
    assert cfg.hydra.subdir == f"run_{identity(CFG)}"
    assert settings(CFG)["optimizer.lr"] == 0.1 and "cache" not in settings(CFG)


def test_the_folder_of_earlier_stages_counts_only_where_something_of_them_is_taken():
    taken = CFG | {"init_from": "${stage:1_first}/checkpoints/best.ckpt"}
    for cfg, same in ((CFG, True), (taken, False)):
        assert (identity(cfg | {"stages": "a"}) == identity(cfg | {"stages": "b"})) is same


def test_a_setting_that_was_renamed_or_came_later_leaves_a_run_what_it_was():
    before, now = {"alarms": {"hit_rate": 0.1, "p": 0.05}}, {"alarms": {"kept": 0.1, "p": 0.05}}
    later = {"alarms": {**now["alarms"], "recall": 0.2, "bm25_queries": None, "random_cosine": 0.9}}
    assert identity(CFG | before) == identity(CFG | now) == identity(CFG | later)
    assert todays_word("alarms.hit_rate=0.2") == "alarms.kept=0.2" and todays_word("seed=1") == "seed=1"
    bm25 = {"_target_": "hardneg.mining.bm25.BM25", "k1": 1.2}
    lists = [{"miners": [{**bm25, **more}]} for more in ({}, {"tokens": "auto"}, {"tokens": "pairs"})]
    names = [identity(CFG | {"negatives": {"fused": {"miner": node}}}) for node in lists]
    assert names[0] == names[1] != names[2]
