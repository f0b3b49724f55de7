"""The steps of a renewal; each leaves its result, and finds it when it is run again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np

from hardneg.ab.rankings import ranked
from hardneg.ab.relevance import from_data
from hardneg.ab.report import AbPlan, Report, compare
from hardneg.ab.systems import ComparedSystem
from hardneg.config.command_words import command_line
from hardneg.errors import UserError
from hardneg.renew.plan import PLACE, Renewal, write_groups
from hardneg.retrieval.metrics import OwnMetric, QueryRankings, names_of, resolve
from hardneg.retrieval.retriever import seen
from hardneg.runs.folder import BEST, CHECKPOINTS, LAST
from hardneg.runs.trec_runs import write_run
from hardneg.serving.builder import Builder
from hardneg.serving.builds import Build
from hardneg.serving.opened_build import open_build
from hardneg.serving.text_encoder import TextEncoder
from hardneg.stages.recipe import Stage
from hardneg.stages.run_stages import command_of, launch, say
from hardneg.system.progress import progress

BLOCK = 256  # queries asked at a time


class StoppedBySignal(Exception):
    """A signal ended the work; `args` holds its number."""


def build(renewal: Renewal, ckpt_path: str, *beside: Build) -> Build:
    """Return a checkpoint's build of the data as they are: made where it is not there, checked, and kept with `beside`.

    What an earlier renewal kept is released.
    """
    cfg, backend, encoder = renewal.index_cfg, renewal.live.backend, encoder_of(renewal, ckpt_path)
    source = {**renewal.source(), "ckpt_path": ckpt_path}
    with renewal.index.writing():
        made = Builder(renewal.index, backend, encoder, cfg.shard).build(renewal.data, source)
        renewal.index.put_beside(*beside, made, by=PLACE)
    with open_build(made, encoder, renewal.data.corpus, new=True):  # raises for one that must not answer
        return made


def encoder_of(renewal: Renewal, ckpt_path: str) -> TextEncoder:
    """Load a checkpoint for the index, at the index's width, on the device that its config names."""
    cfg = renewal.index_cfg
    encoder = TextEncoder.load(ckpt_path, cfg.device, cfg.precision)
    return encoder.at(min(renewal.live.manifest.dim, encoder.towers.dim))


def train(renewal: Renewal, lock: int) -> str:
    """Train on from the live model, in a process of its own; return the checkpoint.

    Raises `StoppedBySignal` for a signal, `UserError` for a training that failed.
    """
    conf = renewal.folder / "conf"
    write_groups(conf, renewal.live, renewal.encoder)
    stage = Stage("train", "train", renewal.folder / "train", renewal.words)
    kept = stage.folder / CHECKPOINTS / (LAST if renewal.cfg.split.dev is None else BEST)
    if stage.done and not kept.is_file():  # it was removed when nothing seemed to need it any longer
        shutil.rmtree(stage.folder)
    if not stage.done:
        words = command_of(stage, conf)
        say(command_line(*words))
        code, stopped = launch(words, lock)
        if stopped is not None:
            raise StoppedBySignal(stopped)
        if code or not stage.done:
            raise UserError(f"training ended with exit code {code}; its own message is above")
    return str(kept)


def rank(renewal: Renewal, asked: Build, ckpt_path: str, name: str) -> ComparedSystem:
    """Ask a build the queries that are judged, and write its ranking as NAME.run."""
    data, cfg = renewal.data, renewal.cfg
    rows = data.split(renewal.split).query_rows
    left_out, depth = seen(data, cfg.evaluate.leave_out), cfg.evaluate.depth
    wide = min(len(data.corpus), depth + (0 if left_out is None else int(left_out.counts[rows].max(initial=0))))
    ids = np.full((len(rows), wide), -1, np.int32)
    scores = np.full((len(rows), wide), -np.inf, np.float32)
    with (
        open_build(asked, encoder_of(renewal, ckpt_path)) as opened,
        progress(len(rows), f"ask the {name} index", "queries") as bar,
    ):
        for start in range(0, len(rows), BLOCK):
            queries = opened.encoder.queries(data.queries.take(rows[start : start + BLOCK]))
            for row, found in enumerate(opened.vectors.search(queries, wide), start=start):
                ids[row, : len(found)] = [data.corpus.rows[doc] for doc, _ in found]
                scores[row, : len(found)] = [score for _, score in found]
            bar.update(len(queries))
    run = QueryRankings(rows, ids, scores)
    run = run if left_out is None else run.without(left_out, depth)
    write_run(renewal.folder / f"{name}.run", run, data, name)
    return ComparedSystem(f"build {asked.name} ({ckpt_path})", ranked(run, data))


def judge(renewal: Renewal, old: ComparedSystem, new: ComparedSystem, plan: AbPlan) -> Report:
    """Compare the two, as `hardneg ab` does."""
    resolved = resolve(renewal.cfg.evaluate.metrics)
    metrics = dict.fromkeys([renewal.cfg.evaluate.best, *names_of(resolved)])
    own = {one.name: one for one in resolved if isinstance(one, OwnMetric)}
    return compare(old, new, from_data(renewal.data, renewal.split), replace(plan, metrics=tuple(metrics), own=own))
