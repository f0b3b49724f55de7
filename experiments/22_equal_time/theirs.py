"""The peer's side: sentence-transformers' trainer and miner, set as its documentation advises."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clock import Clock, Encode, Watch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import BatchSamplers
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sentence_transformers.util import mine_hard_negatives
from tokenizers import Tokenizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from hardneg.encoders.pretrained import locate


@dataclass(frozen=True)
class Setting:
    """A batch, a rate, and after which share of the budget negatives are mined, with the model as it is then."""

    batch: int
    rate: float
    mine_after: float | None = None


def train(
    start: str, setting: Setting, pairs: dict[str, list[str]], corpus: list[str], seed: int, watch: Watch
) -> None:
    """Train on pairs, on mined triplets, or on the former and then on the latter."""
    torch.manual_seed(seed)
    model, rows = STARTS[start](), Dataset.from_dict(pairs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.rate, weight_decay=0.0, fused=True)
    if setting.mine_after is not None:
        if setting.mine_after:
            fit(model, optimizer, rows, setting, seed, Tick(model, watch, setting.mine_after, ENCODED[start]))
        with watch.clock.counting():
            rows = mine_hard_negatives(
                rows, model, corpus=corpus, relative_margin=0.05, batch_size=ENCODED[start], verbose=False
            )  # its defaults else: the top three of each query, a row each
    fit(model, optimizer, rows, setting, seed, Tick(model, watch, 1.0, ENCODED[start]))


def transformer() -> SentenceTransformer:
    """Load MiniLM as it ships."""
    return SentenceTransformer(str(locate("minilm")), device="cpu")


def static() -> SentenceTransformer:
    """Make a static model of MiniLM's words."""
    folder = Path(locate("minilm"))
    words = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=words)], device="cpu")


STARTS = {"static": static, "transformer": transformer}
ENCODED = {"static": 1024, "transformer": 32}  # texts at once; 32 is the default, a static model is faster with more


def fit(
    model: SentenceTransformer, optimizer: Any, rows: Dataset, setting: Setting, seed: int, tick: TrainerCallback
) -> None:
    """Train on some rows until the callback stops it."""
    clock: Clock = tick.watch.clock
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=10**7,
                per_device_train_batch_size=setting.batch,
                batch_sampler=BatchSamplers.NO_DUPLICATES,
                seed=seed,
                use_cpu=True,
                dataloader_pin_memory=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=rows,
            loss=MultipleNegativesRankingLoss(model),
            optimizers=(optimizer, LambdaLR(optimizer, clock.rate)),
            callbacks=[tick],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


class Tick(TrainerCallback):
    """Tell the watch of every step, and stop when it says so, or at this share of the budget."""

    def __init__(self, model: SentenceTransformer, watch: Watch, until: float, encoded: int) -> None:
        self.model, self.watch, self.until, self.encoded = model, watch, until, encoded

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Let the clock go; it stood while the trainer was made."""
        self.watch.clock.go()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the step."""
        over = self.watch.step(lambda: encoder(self.model, self.encoded))
        early = self.until < 1 and self.watch.clock.used >= self.until * self.watch.clock.budget
        if over or early:
            self.watch.clock.go(False)
            control.should_training_stop = True


def encoder(model: SentenceTransformer, batch: int) -> Encode:
    """Encode as its users do."""

    def encode(texts: list[str], kind: str) -> np.ndarray:
        return (model.encode_query if kind == "query" else model.encode_document)(
            texts, batch_size=batch, show_progress_bar=False, convert_to_numpy=True
        )

    return encode
