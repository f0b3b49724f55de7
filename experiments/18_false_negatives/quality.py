"""Precision and recall of the filters against labels that were hidden (hide.py): no training, one ranking a set.

usage: quality.py OUT/nfcorpus-hidden CHECKPOINT TABLE.md      (CHECKPOINT: trained on the labels that are left)
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_module
from oracle import read

from hardneg.config import composition
from hardneg.data.ragged import Ragged
from hardneg.filters.base import CandidateFilter
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.rank_window import RankWindow
from hardneg.filters.score_margin import AbsoluteMargin, RelativeMargin
from hardneg.filters.score_window import ScoreWindow
from hardneg.mining.base import mining_pool, ranker_of, tasks
from hardneg.mining.filtering import filter_hits
from hardneg.mining.hidden_positives import share_of
from hardneg.mining.rankings import BLOCK
from hardneg.mining.store import KEPT
from hardneg.runs.folder import with_checkpoint
from hardneg.runs.mining_setting import open_setting, stored_sources
from hardneg.serving.from_index import opens

DEPTH, DRAWN = 100, 20  # documents looked at a query; of what is kept, those that could be drawn
RULES: dict[str, CandidateFilter] = {
    **{f"rank_window, skip {skip}": RankWindow(skip=skip) for skip in (2, 5, 10, 20)},
    **{f"absolute_margin, {margin}": AbsoluteMargin(margin=margin) for margin in (0.0, 0.05, 0.1, 0.2)},
    **{f"relative_margin, {margin}": RelativeMargin(margin=margin) for margin in (0.0, 0.05, 0.1, 0.2)},
    **{f"score_window, high {high}": ScoreWindow(high=high) for high in (0.8, 0.7, 0.6, 0.5)},
}
HEAD = ("filter", "recall: hidden positives dropped", "precision: hidden positives, of what it drops", "kept")
HEAD += (f"false among the first {DRAWN} kept", "hardest 4 false")


def main(folder: Path, checkpoint: Path, out: Path) -> None:
    """Rank with the checkpoint, apply each filter beside the known positives, and write the table."""
    composition.register_resolvers()
    words = ["data=beir", f"data.path={folder}", f"ckpt_path='{checkpoint}'", "negatives=[mined]"]
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        cfg = with_checkpoint(compose("probe", words))
    sources = stored_sources(cfg)
    setting = open_setting(cfg, sources, vectors=opens(None))
    training, source = setting.training, sources["mined"]
    data = training.data
    secret = hidden(folder, data.queries.rows, data.corpus.rows, training.known, len(data.corpus))
    known_rule = KnownPositives()
    for rule in (known_rule, *RULES.values()):
        rule.prepare(training)
    settings = {"known_positives alone": {"known_positives": known_rule}}
    settings |= {name: {"known_positives": known_rule, "rule": rule} for name, rule in RULES.items()}
    miner = source.miner.ready(data, setting.model, setting.cache, setting.device)
    queries = np.flatnonzero(secret.counts).astype(np.int32)
    counts: dict[str, list[np.ndarray]] = {name: [] for name in settings}
    for of_set, task in tasks(training, queries, mining_pool(training, "all"), setting.cache / "work" / out.stem):
        task.work.mkdir(parents=True, exist_ok=True)
        rank = ranker_of(miner, replace(task, queries=of_set, depth=DEPTH + 1))
        for begin in range(0, len(of_set), BLOCK):
            rows = of_set[begin : begin + BLOCK]
            known = training.known.padded(rows)
            hits = rank(rows, known, DEPTH + 1)
            false = among(hits.ids, secret.padded(rows))
            for name, rules in settings.items():
                counts[name].append(count(hits.ids, filter_hits(hits, known, rows, rules)[0], false))
    lines = [f"**{folder.name}: {int(secret.counts.sum()):,} hidden positives of {len(queries):,} queries**", ""]
    lines += ["| " + " | ".join(HEAD) + " |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    lines += [row(name, np.concatenate(found)) for name, found in counts.items()]
    lines += ["", f"Of the first {DEPTH} ranks, known positives apart. 95% intervals over queries."]
    out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


def hidden(folder: Path, queries: dict[str, int], docs: dict[str, int], known: Ragged, width: int) -> Ragged:
    """The positives of all training queries that the labels no longer name."""
    rows, columns = read(folder / "train_all.tsv", queries, docs)
    pairs = np.setdiff1d(rows * width + columns, known.row_ids * width + known.values)
    return Ragged.of(pairs // width, pairs % width, len(queries))


def among(ids: np.ndarray, secret: np.ndarray) -> np.ndarray:
    """Mark the hits that are hidden positives of their query."""
    found = np.zeros(ids.shape, bool)
    for column in secret.T:
        found |= (ids == column[:, None]) & (column[:, None] >= 0)
    return found


def count(ids: np.ndarray, reasons: np.ndarray, false: np.ndarray) -> np.ndarray:
    """By query: hidden, dropped, hidden and dropped, kept, all; then false and all of the first 20 and 4 kept."""
    candidate = (ids >= 0) & (reasons != 1)  # 1: a known positive
    keeps = candidate & (reasons == KEPT)
    dropped = candidate & ~keeps
    drawn, top = (keeps & (keeps.cumsum(axis=1) <= first) for first in (DRAWN, 4))
    parts = (candidate & false, dropped, dropped & false, keeps, candidate, drawn & false, drawn, top & false, top)
    return np.stack([part.sum(axis=1) for part in parts], axis=1)


def row(name: str, counts: np.ndarray) -> str:
    """One line of the table."""
    secret, dropped, both, kept, every, drawn_false, drawn, top_false, top = counts.T
    cells = [share_of(both, secret), share_of(both, dropped), share_of(kept, every)]
    cells += [share_of(drawn_false, drawn), share_of(top_false, top)]
    if not dropped.any():
        return f"| {name} | | | {cells[2]:.0%} | {cells[3]:.1%} | {cells[4]:.1%} |"
    return f"| {name} | {cells[0]:.0%} | {cells[1]:.0%} | {cells[2]:.0%} | {cells[3]:.1%} | {cells[4]:.1%} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), Path(sys.argv[3]))
