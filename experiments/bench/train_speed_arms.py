"""The arms of train_speed.py: one workload, trained by a bare loop, by sentence-transformers and by hardneg."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from hydra import compose, initialize_config_module
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from hardneg.commands.train import EncoderParts, make_losses, make_module, prepare_negatives
from hardneg.config import classes, composition
from hardneg.config.refused_arguments import lightnings
from hardneg.data.datamodule import Batches
from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.sampler import EpochSampler
from hardneg.data.tables import RetrievalData
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.precision import resolve_precision
from hardneg.encoders.pretrained import locate
from hardneg.matrix.batch import Tokens
from hardneg.negatives.base import Setting
from hardneg.negatives.mixture import Mixture
from hardneg.runlog.loggers import loggers

LENGTH = 64  # tokens a text, both sides
SEED = 1
RATE, DECAY, CLIP, TEMPERATURE = 2e-5, 0.01, 1.0, 0.05


@dataclass(frozen=True)
class Job:
    """What every arm trains: `warmup` steps that are not timed, then `turns` turns of `steps` steps each."""

    batch: int
    warmup: int
    turns: int
    steps: int
    device: str

    @property
    def total(self) -> int:
        """The number of steps."""
        return self.warmup + self.turns * self.steps


class Clock:
    """Counts an arm's steps and, at the end of each of its turns, waits for the device and hands over."""

    def __init__(self, job: Job, hand_over: Callable[[], None]) -> None:
        self.job, self.hand_over = job, hand_over
        self.done = 0

    def tick(self) -> None:
        """Count a finished step; every trainer calls this at the end of each."""
        self.done += 1
        timed = self.done - self.job.warmup
        if timed >= 0 and timed % self.job.steps == 0:
            wait(self.job.device)
            self.hand_over()


def wait(device: str) -> None:
    """Let a GPU finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


class Workload:
    """The pairs and their tokens, read once a process; round after round they come in another order."""

    def __init__(self, data: str, model: str = "minilm") -> None:
        composition.register_resolvers()
        self.model = model
        source = ["data=pydocs"] if data == "pydocs" else ["data=beir", f"data.path={Path(data).resolve()}"]
        lengths = [f"encoder.query.max_length={LENGTH}", f"encoder.document.max_length={LENGTH}"]
        numbers = [f"optimizer.lr={RATE}", f"optimizer.weight_decay={DECAY}", f"trainer.gradient_clip_val={CLIP}"]
        quiet = ["logger=[csv]", "trainer.enable_progress_bar=false", "+trainer.enable_checkpointing=false"]
        self.overrides = [
            *source,
            *(["encoder=minilm"] if model == "minilm" else ["encoder=transformer", f"encoder.model={model}"]),
            *lengths,
            *numbers,
            f"loss.infonce.temperature={TEMPERATURE}",
            *quiet,
        ]
        cfg = self.config([])
        self.data: RetrievalData = classes.build(cfg.data).load()
        self.training = TrainingSet(self.data)
        self.recipe = classes.build(cfg.encoder).resolved()
        self.tokenizer = self.recipe.tokenizer(self.data.corpus)
        cache = Path(cfg.cache)
        self.queries = TokenTable.build(self.data.queries, self.tokenizer, self.recipe.query, cache, "queries")
        self.docs = TokenTable.build(self.data.corpus, self.tokenizer, self.recipe.document, cache, "documents")

    def config(self, more: list[str]) -> DictConfig:
        """Compose the config of `hardneg train` with this benchmark's settings and some more."""
        with initialize_config_module("hardneg.conf", version_base="1.3"):
            return compose("train", [*self.overrides, *more])

    def pairs(self, job: Job) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each step's query rows and document rows: the very pairs that hardneg's own loader serves."""
        rows = TrainingRows(self.training, Mixture({}, ("positive",), SEED))
        sampler = EpochSampler(len(rows), job.batch, SEED)
        if len(sampler) < job.total:
            raise SystemExit(f"{len(rows)} training queries make {len(sampler)} batches, {job.total} are asked for")
        steps = [rows.__getitems__(keys) for keys in islice(sampler, job.total)]
        return [(step.queries, step.docs[:, 0]) for step in steps]


def bare(work: Workload, job: Job, clock: Clock, bf16: bool) -> float:
    """Train with the least code that does it: no framework, batches tokenised and padded beforehand."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(locate(work.model), add_pooling_layer=False, dtype="float32")
    model.train().to(job.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    batches = [(work.queries.batch(q), work.docs.batch(d)) for q, d in work.pairs(job)]
    if job.device == "cuda":
        batches = [(q.pin_memory(), d.pin_memory()) for q, d in batches]
    target = torch.arange(job.batch, device=job.device)
    losses: list[Tensor] = []

    def embed(tokens: Tokens) -> Tensor:
        tokens = tokens.to(job.device, non_blocking=True)
        mask = tokens.attention_mask
        hidden = model(input_ids=tokens.input_ids, attention_mask=mask).last_hidden_state.float()
        return F.normalize((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)

    torch.manual_seed(SEED)
    for queries, docs in batches:
        with torch.autocast(job.device, torch.bfloat16, enabled=bf16):
            q, d = embed(queries), embed(docs)
        loss = F.cross_entropy(q @ d.T / TEMPERATURE, target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
        clock.tick()
    return float(torch.stack(losses).mean())


def peer(work: Workload, job: Job, clock: Clock, bf16: bool) -> float:
    """Train with sentence-transformers' own trainer and loss; only the order of the pairs is ours."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from torch.utils.data import SequentialSampler
    from transformers.trainer_callback import PrinterCallback

    def in_order(dataset: Any, **settings: Any) -> DefaultBatchSampler:
        return DefaultBatchSampler(SequentialSampler(dataset), **settings)

    pairs = work.pairs(job)
    texts = {
        "anchor": work.data.queries.take(np.concatenate([q for q, _ in pairs])),
        "positive": work.data.corpus.take(np.concatenate([d for _, d in pairs])),
    }
    model = SentenceTransformer(str(locate(work.model)), device=job.device)
    model.max_seq_length = LENGTH
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=job.total,
                per_device_train_batch_size=job.batch,
                learning_rate=RATE,
                weight_decay=DECAY,
                max_grad_norm=CLIP,
                bf16=bf16,
                use_cpu=job.device == "cpu",
                dataloader_pin_memory=job.device == "cuda",
                batch_sampler=in_order,
                seed=SEED,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(texts),
            loss=MultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE),
            callbacks=[_peer_callback(clock)],
        )
        trainer.remove_callback(PrinterCallback)
        return float(trainer.train().training_loss)


def ours(work: Workload, job: Job, clock: Clock, settings: list[str], compiler: str | None = None) -> float:
    """Train with hardneg's own objects, put together as `hardneg train` does, under some settings of its config.

    `compiler` is the backend by which torch compiles the network of each tower, for sequences of any length.
    """
    cfg = work.config(
        [f"trainer.max_steps={job.total}", f"trainer.accelerator={job.device}", f"seed={SEED}", *settings]
    )
    L.seed_everything(cfg.seed, verbose=False)
    recipe = classes.build(cfg.encoder).resolved()
    filters = classes.build_group(cfg.filter, "filter")
    terms = make_losses(cfg, work.training.data)
    negatives = prepare_negatives(cfg, Setting(work.training, filters, Path(cfg.cache)), terms)
    mixture = Mixture(negatives.offline, negatives.names, cfg.seed)
    collate = Collate(work.queries, work.docs, work.training, mixture.has_teacher)
    batches = Batches(TrainingRows(work.training, mixture), collate, job.batch, cfg.seed, cfg.num_workers)
    precision = resolve_precision(cfg.trainer.precision, recipe, cfg.trainer.accelerator)
    encoder = EncoderParts(recipe, work.tokenizer, work.queries, work.docs, precision)
    module = make_module(cfg, encoder, negatives, filters, terms)
    if compiler:
        for network in (part for part in module.modules() if isinstance(part, PreTrainedModel)):
            network.compile(dynamic=True, backend=compiler)
    losses: list[Tensor] = []
    with tempfile.TemporaryDirectory() as folder, loggers(cfg.logger, {"folder": Path(folder)}) as opened:
        trainer: L.Trainer = classes.build(
            {**lightnings(classes.plain(cfg.trainer)), "precision": precision},
            logger=opened,
            callbacks=[_our_callback(clock, losses)],
            default_root_dir=folder,
            use_distributed_sampler=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, batches)
    return float(torch.stack(losses).mean())


def _our_callback(clock: Clock, losses: list[Tensor]) -> L.Callback:
    class Tick(L.Callback):
        def on_train_batch_end(self, _: Any, __: Any, outputs: Any, *___: Any) -> None:
            losses.append(outputs["loss"].detach())
            clock.tick()

    return Tick()


def _peer_callback(clock: Clock) -> Any:
    from transformers import TrainerCallback

    class Tick(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    return Tick()


def quiet() -> None:
    """Silence what the libraries say on every run."""
    import datasets
    import transformers

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()


Arm = Callable[[Workload, Job, Clock], float]  # trains, ticks at each step, returns the mean loss


def _hardneg(tokens: int | None, precision: str) -> Arm:
    size = "null" if tokens is None else tokens
    return partial(ours, settings=[f"encoder.tokens={size}", f"trainer.precision={precision}"])


FP32, BF16 = "32-true", "bf16-mixed"

ARMS: dict[str, Arm] = {
    "bare fp32": partial(bare, bf16=False),
    "bare bf16": partial(bare, bf16=True),
    "st fp32": partial(peer, bf16=False),
    "st bf16": partial(peer, bf16=True),
    "hardneg fp32 one part": _hardneg(None, FP32),
    "hardneg fp32": partial(ours, settings=[f"trainer.precision={FP32}"]),
    "hardneg fp32 tokens=2048": _hardneg(2048, FP32),
    "hardneg fp32 tokens=1024": _hardneg(1024, FP32),
    "hardneg bf16 one part": _hardneg(None, BF16),
    "hardneg bf16 tokens=1024": _hardneg(1024, BF16),
    "hardneg defaults": partial(ours, settings=[]),
}
