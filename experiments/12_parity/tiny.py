"""One tiny world for all peers: texts, a BERT of random weights, and our training step on one batch of it.

All is float64, so that a difference of formulas shows and rounding does not.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hardneg.config import classes, composition
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.data.tokens import TokenTable
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.encode import budget, encode
from hardneg.encoders.towers import Towers
from hardneg.matrix.batch import Batch, Tokens
from hardneg.negatives.base import OnlineSource
from hardneg.teachers.guide_vectors import guide
from hardneg.training.base import Objective
from hardneg.training.module import DualEncoder

ROWS, SLOTS, WIDTH = 5, 4, 16  # queries; a positive and three hard negatives each; the embeddings' width
WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def texts(count: int, seed: int) -> list[str]:
    """Different texts of 2 to 9 random words."""
    rng = np.random.default_rng(seed)
    return [" ".join([f"w{i % 60}", *rng.choice(WORDS, rng.integers(1, 9))]) for i in range(count)]


QUERIES, DOCUMENTS = texts(ROWS, 1), texts(ROWS * SLOTS, 2)  # documents row by row, the positive first
TEACHER = torch.randn(ROWS, SLOTS, generator=torch.Generator().manual_seed(3)) * 2


@functools.cache
def folder(seed: int = 0, words: tuple[str, ...] = tuple(WORDS)) -> Path:
    """Write a model and its tokenizer, with the words in this order, where both sides load them from."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*SPECIAL, *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(SPECIAL + WORDS),
        max_position_embeddings=64,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.4,  # of 0.02, all texts would have nearly one embedding
    )
    out = Path(tempfile.mkdtemp(prefix="parity-"))
    BertModel(config, add_pooling_layer=False).float().save_pretrained(out)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(out)
    return out


def bert() -> BertModel:
    """The model as a peer has it: loaded anew from the folder."""
    return BertModel.from_pretrained(folder(), add_pooling_layer=False, attn_implementation="eager").double().train()


@dataclass
class Outcome:
    """A loss, and its gradient by the names of BERT's weights."""

    loss: float
    gradients: dict[str, Tensor]


class DoubleTowers(Towers):
    """Ours but for the float32 at the end."""

    def _encode(self, tower: Any, tokens: Tokens) -> Tensor:
        return encode(tower, tokens, budget(self.tokens, tokens.input_ids.device), self.grad_cache)


class Step(DualEncoder):
    """Our training step, without a trainer to log to."""

    def log_step(self, *_: Any) -> None:
        """Nothing is logged."""


def ours(
    *words: str,
    slots: int = SLOTS,
    positives: int = 1,
    teacher: Tensor | None = None,
    vectors: tuple[Tensor, Tensor] | None = None,
    projection: nn.Linear | None = None,
) -> Outcome:
    """Run our step with the losses, online sources and filters that these words of a command line choose.

    `vectors` are a teacher's, of queries and documents, which ours are compared with after `projection`.
    """
    module, rows = step(*words), batch(slots, positives, teacher)
    if vectors is not None:
        rows = replace(rows, teacher_queries=vectors[0], teacher_docs=vectors[1])
        module.losses["embed_distill"].projection = projection
    return of_step(module, rows)


def composed(*words: str) -> Any:
    """What `hardneg train` would make of these words."""
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        return compose("train", overrides=list(words))


def step(*words: str) -> Step:
    """Put our training step together."""
    cfg = composed(
        "encoder=transformer", f"encoder.model={folder()}", "encoder.pooling=mean", "encoder.normalize=true", *words
    )
    recipe = classes.build(cfg.encoder).resolved()
    tower = recipe.build(recipe.tokenizer(Texts.of(["d"], ["w1"]))).double()
    online = {k: s for k, s in classes.build_group(cfg.negatives, "negatives").items() if isinstance(s, OnlineSource)}
    filters = classes.build_group(cfg.filter, "filter")
    with in_float32():
        guide(filters, training(), "all", folder() / "cache", "cpu")
    losses = classes.build_group(cfg.loss, "loss")
    names = ("positive", "given", *online)
    made: Any = None  # no optimizer and no schedule: nothing is trained
    return Step(DoubleTowers(recipe, tower), online, Objective(filters, losses, names, made, made, 0), {})


@contextmanager
def in_float32() -> Iterator[None]:
    """What encodes and is not trained is in float32, as in a run."""
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float64)


@functools.cache
def training() -> TrainingSet:
    """The texts as our data: of each query's documents the first is its positive."""
    columns = [Texts.of([f"{i}" for i in range(len(rows))], rows) for rows in (DOCUMENTS, QUERIES)]
    labels = Qrels(np.arange(ROWS, dtype=np.int32), np.arange(0, ROWS * SLOTS, SLOTS, dtype=np.int32), np.ones(ROWS))
    return TrainingSet(RetrievalData("tiny", *columns, {"train": labels}))


def of_step(module: Step, rows: Batch) -> Outcome:
    """Run the step once, with its backward pass."""
    return outcome(module.training_step(rows, 0), module.towers.tower("query").model)


def theirs(loss_of: Callable[[BertModel], Tensor]) -> Outcome:
    """Run a peer's loss on the same weights."""
    model = bert()
    return outcome(loss_of(model), model)


def outcome(loss: Tensor, model: nn.Module) -> Outcome:
    """Go back from the loss to the weights."""
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return Outcome(loss.item(), gradients)


@functools.cache
def tokens() -> tuple[Tokens, Tokens]:
    """The queries and the documents, as our tables hold them."""
    recipe = classes.build(composed("encoder=transformer", f"encoder.model={folder()}").encoder).resolved()
    tokenizer = recipe.tokenizer(Texts.of(["d"], ["w1"]))
    made = []
    for side, column in ((recipe.query, QUERIES), (recipe.document, DOCUMENTS)):
        rows = Texts.of([str(i) for i in range(len(column))], column)
        table = TokenTable.build(rows, tokenizer, side, folder() / "cache", "texts")
        made.append(table.batch(np.arange(len(column))))
    return made[0], made[1]


def places(slots: int) -> Tensor:
    """The rows of DOCUMENTS that a batch with so many documents a query holds."""
    return torch.arange(ROWS * SLOTS).reshape(ROWS, SLOTS)[:, :slots]


def batch(slots: int = SLOTS, positives: int = 1, teacher: Tensor | None = None, rows: range = range(ROWS)) -> Batch:
    """The queries, each with its first documents: so many positives, and hard negatives."""
    queries, docs = tokens()
    ids = places(slots)[list(rows)]
    return Batch(
        queries=queries.part(torch.tensor(rows)),
        docs=docs.part(ids.flatten()),
        query_ids=torch.tensor(rows),
        doc_ids=ids,
        source=(torch.arange(slots) >= positives).long().repeat(len(rows), 1),
        positive_ids=ids[:, :positives],
        teacher=None if teacher is None else teacher[:, :slots],
        positives=positives,
    )


def features(slots: int = SLOTS, rows: range = range(ROWS)) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same queries and documents as a peer's model takes them."""
    held = batch(slots, rows=rows)
    both = [{"input_ids": t.input_ids, "attention_mask": t.attention_mask.long()} for t in (held.queries, held.docs)]
    return both[0], both[1]


def embed(model: BertModel, given: dict[str, Tensor], normalize: bool = True) -> Tensor:
    """Mean pooling written out, for peers that begin with embeddings."""
    hidden = model(**given).last_hidden_state
    mask = given["attention_mask"][..., None].to(hidden.dtype)
    pooled = (hidden * mask).sum(1) / mask.sum(1)
    return F.normalize(pooled, dim=-1) if normalize else pooled


def embedded(model: BertModel, slots: int = SLOTS, normalize: bool = True) -> tuple[Tensor, Tensor]:
    """Queries (B, D) and documents (B, G, D) by a peer's model."""
    queries, docs = features(slots)
    return embed(model, queries, normalize), embed(model, docs, normalize).unflatten(0, (ROWS, slots))
