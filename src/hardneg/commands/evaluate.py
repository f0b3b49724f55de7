"""hardneg evaluate: rank a split with a checkpoint and write the same files as the end of a run."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg import __version__
from hardneg.config.composition import keys_given
from hardneg.config.run_summary import write_summary
from hardneg.data.other_sets import splits_of
from hardneg.data.prompts import tell_prompts
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import token_tables
from hardneg.encoders import checkpoint
from hardneg.encoders.precision import resolve_precision
from hardneg.mining.baseline import baseline_metrics
from hardneg.preflight.machine import check_machine
from hardneg.retrieval.metrics import QueryRankings, per_query, resolve
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.retrieval.test_sets import TestSet, fingerprints, leave_out, load_others, nested_runs, test_sets
from hardneg.runs import results
from hardneg.runs.data_named import check_data_named
from hardneg.runs.folder import with_checkpoint
from hardneg.runs.provenance import other_paths, provenance
from hardneg.runs.tested_data import open_tested, trained_on
from hardneg.system import agreement, distributed, process_group

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> None:
    """Print the table and write the rankings, per_query.parquet and summary.json; of several ranks the first does."""
    check_machine(cfg)
    cfg = with_checkpoint(cfg)
    check_data_named(cfg)
    with process_group.from_launcher(cfg.device):
        _evaluate(cfg)
        agreement.barrier()


def _evaluate(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    own, splits = trained_on(cfg.ckpt_path), splits_of(cfg.split)
    data = open_tested(cfg, own, keys_given())
    for split in splits:
        data.split(split)  # now, not after the corpus is embedded
    also = load_others(cfg, data, splits, own)
    trained = checkpoint.load(cfg.ckpt_path)
    device = distributed.device(cfg.device)
    precision = resolve_precision(cfg.precision, trained.recipe, str(device))

    def ranks(found: RetrievalData) -> Retriever:
        """Make what ranks the documents of a data set."""
        tell_prompts(found, trained.recipe.query.prompt)
        tables = token_tables(found, trained.tokenizer, trained.recipe.query, trained.recipe.document, Path(cfg.cache))
        split = cfg.evaluate.leave_out if found is data else leave_out(cfg, found)
        return Retriever(found, *tables, precision, seen(found, split))

    sets = test_sets(ranks(data), splits, also, ranks)
    ranked = nested_runs(sets, trained.towers.to(device), cfg.evaluate.depth)
    tested = [_measured(cfg, one, runs) for one, runs in zip(sets, ranked, strict=True)]
    if distributed.rank() > 0:
        return
    results.write_runs(folder, tested, splits[0] if len(sets) == 1 else "test", "hardneg")
    results.write_per_query(folder / "per_query.parquet", tested)
    means, by_set = results.means(tested), results.means_by_set(tested)
    results.tell(str(cfg.ckpt_path), tested, means, by_set)
    write_summary(
        folder,
        {
            "hardneg": __version__,
            "ckpt_path": str(cfg.ckpt_path),
            **provenance(cfg),
            "data": data.name,
            "split": splits[0] if len(splits) == 1 else splits,
            "test_set": fingerprints(sets),
            **other_paths(cfg),
            "precision": precision,
            "test": means,
            **({"test_by_set": by_set} if by_set else {}),
        },
    )
    log.info("results: %s", folder)


def _measured(cfg: DictConfig, one: TestSet, runs: dict[str, QueryRankings]) -> results.Tested:
    """Measure the baseline and the checkpoint on a test set, query by query."""
    judged = one.data.split(one.split)
    systems = baseline_metrics(cfg, one.data, one.split, one.retriever.seen)
    metrics = resolve(cfg.evaluate.metrics)
    systems |= {f"checkpoint{at}": per_query(run, judged, one.data, metrics) for at, run in runs.items()}
    return results.Tested(one.name, one.data, one.split, runs, systems)
