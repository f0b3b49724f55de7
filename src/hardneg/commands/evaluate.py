"""hardneg evaluate: rank a split with a checkpoint and write the same files as the end of a run."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg import __version__
from hardneg.config import classes
from hardneg.data.open_set import open_set
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import token_tables
from hardneg.encoders import checkpoint
from hardneg.encoders.precision import resolve_precision
from hardneg.mining.baseline import baseline_metrics
from hardneg.preflight.config import check_config
from hardneg.preflight.machine import check_machine
from hardneg.retrieval.metrics import per_query
from hardneg.retrieval.retriever import Retriever, seen
from hardneg.runs import results
from hardneg.runs.folder import with_checkpoint
from hardneg.runs.provenance import provenance
from hardneg.runs.trec_runs import write_run
from hardneg.system import distributed

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> None:
    """Print the table and write test.run, per_query.parquet and summary.json; of several ranks the first."""
    check_config(cfg)
    check_machine(cfg)
    cfg = with_checkpoint(cfg)
    with distributed.from_launcher(cfg.device):
        _evaluate(cfg)
        distributed.barrier()


def _evaluate(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir).resolve()
    trained = checkpoint.load(cfg.ckpt_path)
    data: RetrievalData = open_set(classes.build(cfg.data), Path(cfg.cache))
    cache = Path(cfg.cache)
    queries, docs = token_tables(data, trained.tokenizer, trained.recipe.query, trained.recipe.document, cache)
    device = distributed.device(cfg.device)
    precision = resolve_precision(cfg.precision, trained.recipe, str(device))
    retriever = Retriever(data, queries, docs, precision, seen(data, cfg.evaluate.leave_out))
    runs = retriever.nested(trained.towers.to(device), cfg.split, cfg.evaluate.depth)

    qrels, metrics = data.split(cfg.split), list(cfg.evaluate.metrics)
    systems = baseline_metrics(cfg, data, cfg.split, retriever.seen)
    systems |= {f"checkpoint{at}": per_query(run, qrels, data, metrics) for at, run in runs.items()}
    if distributed.rank() > 0:
        return
    write_run(folder / f"{cfg.split}.run", runs[""], data, "hardneg")
    results.write_per_query(folder / "per_query.parquet", runs[""], data, systems)
    means, sets = results.means(systems, runs[""], data), results.means_by_set(systems, runs[""], data)
    results.tell(f"{cfg.ckpt_path} on {data.name} ({cfg.split})", means, sets)
    results.write_summary(
        folder / "summary.json",
        {
            "hardneg": __version__,
            "ckpt_path": str(cfg.ckpt_path),
            **provenance(cfg),
            "data": data.name,
            "split": cfg.split,
            "precision": retriever.precision,
            "test": means,
            **({"test_by_set": sets} if sets else {}),
        },
    )
    log.info("results: %s", folder)
