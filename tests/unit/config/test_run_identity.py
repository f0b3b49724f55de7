"""A run is known by what decides its results, not by how it is kept and shown."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hardneg.config import composition
from hardneg.config.run_identity import identity, settings

CFG = {
    "seed": 1, "batch_size": 32, "num_workers": 0, "cache": "/a", "ckpt_path": None, "run_name": "${seed}",
    "optimizer": {"lr": 0.1}, "logger": {"csv": {"x": 1}}, "trainer": {"enable_progress_bar": True, "devices": 1},
    "filter": {"a": {"m": 1}, "b": {"m": 2}}, "hydra": {"job": {"num": 3}},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        "num_workers=4",
        "num_workers=auto",
        "cache=/b",
        "logger={}",
        "trainer.enable_progress_bar=false",
        "hydra.job.num=0",
        "run_name=x",
    ],
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


def test_alarms_only_warn():
    assert identity(CFG | {"alarms": {"kept": 0.1}}) == identity(CFG | {"alarms": {"kept": None, "recall": 0.2}})


def test_the_order_of_rules_for_pairs_counts():
    rules = {"length": {"least": 1}, "language": {"is": "en"}}
    turned = {key: rules[key] for key in reversed(rules)}
    assert identity(CFG | {"pairs": rules}) != identity(CFG | {"pairs": turned}) != identity(CFG | {"pairs": {}})


def test_a_rate_is_open_until_it_is_found(tmp_path):
    auto, given = (CFG | {"encoder": {"lr": rate}} for rate in ("auto", 0.01))
    assert identity(auto, tmp_path) == identity(auto) != identity(given)
    (tmp_path / "status.json").write_text('{"learning_rate": 0.01}')
    assert identity(auto, tmp_path) == identity(given)


def test_auto_counts_as_the_encoders_batch():
    encoder = {"_target_": "hardneg.encoders.transformer.Transformer", "model": "minilm", "lr": 2e-5}
    given = CFG | {"batch_size": 64, "encoder": encoder}
    auto = CFG | {"batch_size": "auto", "encoder": {**encoder, "batch_size": 64}}
    assert identity(given) == identity(auto) == identity(CFG | {"batch_size": "auto", "encoder": encoder})
    assert identity(auto) != identity(CFG | {"batch_size": "auto", "encoder": {**encoder, "batch_size": 256}})
    assert identity(CFG | {"batch_size": 32, "encoder": {**encoder, "batch_size": 64}}) == identity(
        CFG | {"batch_size": 32, "encoder": {**encoder, "batch_size": 8}}
    ), "where the batch is given, the encoder's is not taken"


def test_a_miners_encoder_has_no_batch():
    node = {"_target_": "hardneg.encoders.static.Static", "init": None}
    of = [
        CFG | {"negatives": {"mined": {"miner": {"encoder": {**node, **more}}}}} for more in ({}, {"batch_size": 256})
    ]
    assert identity(of[0]) == identity(of[1])


def test_nor_has_that_of_one_of_several_miners():
    nodes = [
        [{"_target_": "x.Bm25"}, {"_target_": "x.Dense", "encoder": {"dim": 8, "batch_size": size}}] for size in (8, 9)
    ]
    of = [CFG | {"negatives": {"mined": {"miner": {"miners": node}}}} for node in nodes]
    assert identity(of[0]) == identity(of[1])
    nodes[1][1]["encoder"]["dim"] = 16
    assert identity(of[0]) != identity(of[1])
