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


def test_a_setting_that_was_renamed_or_came_later_leaves_a_run_what_it_was():
    before, now = {"alarms": {"hit_rate": 0.1, "p": 0.05}}, {"alarms": {"kept": 0.1, "p": 0.05}}
    later = {"alarms": {**now["alarms"], "recall": 0.2, "bm25_queries": None, "random_cosine": 0.9}}
    assert identity(CFG | before) == identity(CFG | now) == identity(CFG | later)
    assert todays_word("alarms.hit_rate=0.2") == "alarms.kept=0.2" and todays_word("seed=1") == "seed=1"
    bm25 = {"_target_": "hardneg.mining.bm25.BM25", "k1": 1.2}
    lists = [{"miners": [{**bm25, **more}]} for more in ({}, {"tokens": "auto"}, {"tokens": "pairs"})]
    names = [identity(CFG | {"negatives": {"fused": {"miner": node}}}) for node in lists]
    assert names[0] == names[1] != names[2]


def test_losses_by_source_came_later_and_count_where_they_are_asked_for():
    node = {"_target_": "hardneg.losses.infonce.InfoNCE", "weight": 1.0}
    was, silent, asked = (
        identity(CFG | {"loss": {"infonce": {**node, **more}}})
        for more in ({}, {"sources": None, "sets": None, "several": "each", "focal": 0}, {"sources": ["mined"]})
    )
    assert was == silent != asked
    mix = {"_target_": "hardneg.data.mix.Mix", "temper": 1.0}
    same = identity(CFG | {"data": mix | {"batches": "same_set", "k": {}}})
    assert identity(CFG | {"data": mix}) == same != identity(CFG | {"data": mix | {"batches": "blended", "k": {}}})


def test_evaluation_by_steps_came_later_and_counts_where_it_is_asked_for():
    before = CFG | {"evaluate": {"every_n_epochs": 1}}
    assert identity(before) == identity(CFG | {"evaluate": {"every_n_epochs": 1, "every_n_steps": None}})
    assert identity(before) != identity(CFG | {"evaluate": {"every_n_epochs": 1, "every_n_steps": 50}})
    subset = {"bm25": 100, "model": 100, "size": 10_000, "seed": 0}
    now = {"every_n_epochs": 1, "every_n_steps": None, "documents": "all", "subset": subset}
    assert identity(before) == identity(CFG | {"evaluate": now})
    assert identity(before) != identity(CFG | {"evaluate": now | {"documents": "subset"}})


TRANSFORMER = {
    "_target_": "hardneg.encoders.transformer.Transformer",
    "pooling": "mean",
    "normalize": True,
    "query": {"_target_": "hardneg.data.tokens.Side", "prompt": "", "max_length": 64},
    "document": {"_target_": "hardneg.data.tokens.Side", "prompt": "", "max_length": 128},
}


def opened(node):
    """The same with every value left to the model's folder, as conf/ has it today."""
    sides = {side: {**node[side], "prompt": "auto", "max_length": "auto"} for side in ("query", "document")}
    later = {"dense": "auto", "revision": None, "trust_remote_code": False}
    return {**node, "pooling": "auto", "normalize": "auto", **sides, **later}


def test_a_run_with_a_plain_folder_is_the_one_that_it_was_before_settings_could_be_auto(tmp_path):
    plain = TRANSFORMER | {"model": str(tmp_path)}
    was = identity(CFG | {"encoder": plain})
    assert was == identity(CFG | {"encoder": opened(plain)})
    assert was == identity(CFG | {"encoder": plain | {"dense": None, "revision": None, "trust_remote_code": False}})
    assert was != identity(CFG | {"encoder": opened(plain) | {"pooling": "cls"}})
    assert was != identity(CFG | {"encoder": opened(plain) | {"trust_remote_code": True}})
    miner = {"mined": {"miner": {"encoder": plain}}}
    opened_miner = {"mined": {"miner": {"encoder": opened(plain)}}}
    assert identity(CFG | {"negatives": miner}) == identity(CFG | {"negatives": opened_miner})


@pytest.mark.parametrize("model", ["here", "owner/name"])
def test_a_run_with_a_model_that_says_more_is_another_under_auto(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here/modules.json").write_text("[]")
    node = TRANSFORMER | {"model": model}
    assert identity(CFG | {"encoder": node}) != identity(CFG | {"encoder": opened(node)})
    assert identity(CFG | {"encoder": node}) == identity(CFG | {"encoder": node | {"dense": None}})
    assert identity(CFG | {"encoder": node}) != identity(CFG | {"encoder": opened(node) | SAME_SIDES})
    # A node that names the model alone meant the old defaults, and means the folder's now.
    alone = {"_target_": TRANSFORMER["_target_"], "model": model}
    assert identity(CFG | {"encoder": alone}) == identity(CFG | {"encoder": opened(alone | SIDES)})


def test_minilm_says_nothing_new_but_its_length():
    node = TRANSFORMER | {"model": "minilm"}
    was = identity(CFG | {"encoder": node})
    assert was == identity(CFG | {"encoder": opened(node) | SAME_SIDES})
    assert was != identity(CFG | {"encoder": opened(node)})


SAME_SIDES = {side: TRANSFORMER[side] | {"prompt": "auto"} for side in ("query", "document")}
SIDES = {side: {} for side in ("query", "document")}


def test_the_shipped_encoders_keep_their_identity():
    """What encoder=minilm composed to before any key could be auto."""
    from confs import compose

    now = composition.OmegaConf.to_container(compose("encoder=minilm", "logger=csv"))["encoder"]
    later = ("dense", "revision", "trust_remote_code", "unpad")
    before = {key: value for key, value in now.items() if key not in later}
    assert {**before, **TRANSFORMER, "model": "minilm"} == before
    assert identity(CFG | {"encoder": now}) == identity(CFG | {"encoder": before})


def test_a_run_that_is_not_compiled_is_the_one_from_before_it_could_be():
    assert identity(CFG | {"trainer": {**CFG["trainer"], "compile": False}}) == identity(CFG)
    assert identity(CFG | {"trainer": {**CFG["trainer"], "compile": True}}) != identity(CFG)


def test_auto_counts_as_the_encoders_batch_and_leaves_runs_of_the_old_default_what_they_were():
    encoder = {"_target_": "hardneg.encoders.transformer.Transformer", "model": "minilm", "lr": 2e-5}
    before = CFG | {"batch_size": 64, "encoder": encoder}
    now = CFG | {"batch_size": "auto", "encoder": {**encoder, "batch_size": 64}}
    assert identity(before) == identity(now) == identity(CFG | {"batch_size": "auto", "encoder": encoder})
    assert identity(now) != identity(CFG | {"batch_size": "auto", "encoder": {**encoder, "batch_size": 256}})
    assert identity(CFG | {"batch_size": 32, "encoder": {**encoder, "batch_size": 64}}) == identity(
        CFG | {"batch_size": 32, "encoder": {**encoder, "batch_size": 8}}
    ), "where the batch is given, the encoder's is not taken"


def test_what_strategy_random_draws_counts_as_the_number_that_it_comes_to():
    def drawn(k, **encoder):
        return identity(CFG | {"negatives": {"random": {"k": k}}, "encoder": CFG.get("encoder", {}) | encoder})

    static, by_encoder = {"_target_": "hardneg.encoders.static.Static"}, "${oc.select:encoder.random_k,4}"
    assert drawn(by_encoder, **static, random_k=8) == drawn(8, **static) != drawn(4, **static)
    assert drawn(by_encoder) == drawn(4), "another encoder's run is what it was"
    assert drawn(4, **static, random_k=8) == drawn(4, **static), "where the number is given, the encoder's is not taken"


def test_a_miners_encoder_has_no_batch():
    node = {"_target_": "hardneg.encoders.static.Static", "init": None}
    training = {"batch_size": 256, "random_k": 8}
    of = [CFG | {"negatives": {"mined": {"miner": {"encoder": {**node, **more}}}}} for more in ({}, training)]
    assert identity(of[0]) == identity(of[1])
