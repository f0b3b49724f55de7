"""The jobs that are checked before a sweep are those that Hydra runs."""

from __future__ import annotations

import pytest
from confs import CONF
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from hardneg.sweep import jobs


def meaning(job):
    """What a job's overrides say, whatever their spelling."""
    parsed = OverridesParser.create().parse_overrides(job)
    return [(o.type, o.get_key_element(), o.value()) for o in parsed]


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=1,2,3"],
        ["loss=infonce,triplet", "seed=1,2", "batch_size=32"],
        ["seed=range(1,4)"],
        ["seed=choice(1,2)", "trainer.max_epochs=1"],
        ["negatives=[in_batch],[in_batch,bm25]"],
        ["negatives=[in_batch,bm25]", "+negatives.bm25.k=1,2"],
        ["++optimizer.lr=1e-4,1e-5"],
        ["~logger.wandb", "seed=1,2"],
        ["data=beir", "data.path='/a dir/with, comma'", "seed=1,2"],
        ["data.path='a=b','c d'"],
        ['encoder.query.prompt="query: ","ask: "'],
        ["strategy=glob(*)"],
        ["evaluate.metrics=[ndcg@10]", "split.dev=null,dev"],
        ["data@other=toy,beir"],
        ["data=mix", "+data@data.sets.a=toy,pydocs", "data.temper=0,1"],
        ["seed=1"],
        [],
    ],
    ids=" ".join,
)
def test_the_preflight_of_a_sweep_sees_the_jobs_that_hydra_runs(overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(overrides)
        (hydras,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        ours = jobs.expand(overrides)
    assert [meaning(job) for job in ours] == [meaning(job) for job in hydras]
