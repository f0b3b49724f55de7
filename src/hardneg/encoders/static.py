"""A static tower: the mean of token embeddings, without a transformer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side
from hardneg.encoders.base import AUTO, EncoderRecipe, Tower
from hardneg.encoders.folder_defaults import check_first
from hardneg.encoders.model_folder import ModelFolder
from hardneg.encoders.pretrained import name_of
from hardneg.encoders.purposes import Purpose, setting
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.system.progress import progress

FAST, SLOW, SHORT = 0.01, 0.005, 50  # learning rates of short and long runs; steps of a short one
NO_WORD = re.compile(r"\[\w+\]|<\w+>|<\|\w+\|>")
LEFT_OUT = ("empty", "unknown")  # tokens that are left out of the average
BLOCK = 4096  # texts handed to the tokenizer's trainer at a time


@dataclass(frozen=True, kw_only=True)
class Static(EncoderRecipe):
    """Recipe of a static tower (as are model2vec and static sentence-transformers).

    With `init` null it starts from random embeddings, with a tokenizer trained on the corpus (`vocab_size` and `dim`
    apply). With a folder, a hub name or "minilm" it starts from that transformer's token embeddings and uses its
    tokenizer.

    Raises `ConfigError` for a width below 1 or a vocabulary below 100.
    """

    init: str | None = setting(None, Purpose.START)
    dim: int = setting(256, Purpose.START)
    vocab_size: int = setting(30_000, Purpose.START)
    batch_size: int = 256

    gains_from_bf16: ClassVar[bool] = False  # no matrix product in it
    knows_its_rate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim < 1 or self.vocab_size < 100:
            raise ConfigError(f"encoder needs dim >= 1 and vocab_size >= 100, got {self.dim} and {self.vocab_size}")
        self.widths(self.dim if self.init is None else None)

    def learning_rate(self, steps: int) -> float:
        """If `lr` is auto: .01 up to 50 steps, less in longer runs, .005 from 200 on (experiments/16_defaults)."""
        if self.lr != AUTO:
            return super().learning_rate(steps)
        return float(f"{min(max(FAST * (SHORT / max(steps, 1)) ** 0.5, SLOW), FAST):.2g}")

    @property
    def starts_random(self) -> bool:
        """Whether the table is randomly initialised."""
        return self.init is None

    def check_model(self) -> None:
        """Raise `ConfigError` if the folder to start from is missing, holds no transformer, or has narrower words."""
        if self.init is not None and Path(name_of(self.init)).is_dir():
            folder = ModelFolder.open(self.init)
            check_first(folder, self.init)
            self.widths(folder.width_of_words)

    def tokenizer(self, corpus: Texts, queries: Texts | None = None) -> Tokenizer:
        """Take the transformer's tokenizer, without special tokens, which carry no meaning here; or train one."""
        if self.init is None:
            return _train_tokenizer(corpus, self.vocab_size)
        tokenizer = _start(self.init).tokenizer(corpus)
        tokenizer.post_processor = None  # type: ignore[assignment]
        return tokenizer

    def build(self, tokenizer: Tokenizer) -> StaticTower:
        """Make the embedding table."""
        if self.init is None:
            return StaticTower(tokenizer.get_vocab_size(), self.dim, self.unit_vectors, stand_in(tokenizer))
        model = _start(self.init).build(tokenizer).model
        words = model.get_input_embeddings().weight.detach()  # type: ignore[operator, union-attr]
        tower = StaticTower(len(words), words.shape[1], self.unit_vectors, stand_in(tokenizer))
        tower.embedding.weight.data.copy_(words)
        return tower

    def architecture(self, tower: Tower) -> dict[str, Any]:
        """The shape of the table, and the tokens that are not averaged, if there are any."""
        rows, dim = tower.embedding.weight.shape  # type: ignore[union-attr, misc]
        return {"rows": int(rows), "dim": int(dim), **tower.beside_weights}

    def rebuild(self, architecture: dict[str, Any]) -> StaticTower:
        """Make a table of that shape, which leaves out the tokens that the checkpoint leaves out."""
        tower = StaticTower(architecture["rows"], architecture["dim"], self.unit_vectors)
        tower.adopt(architecture)
        return tower


class StaticTower(Tower):
    """Averages the embeddings of a text's tokens; a text without any has the zero vector.

    `empty` is the token that represents a text without tokens (see `stand_in`); it is not averaged if it is alone.
    `unknown` is never averaged, as in model2vec. None: there is no such token.
    """

    # A part of a few texts takes microseconds, less than it takes to start and join threads.
    tokens_at_once = 65_536

    def __init__(
        self, rows: int, dim: int, normalize: bool, empty: int | None = None, unknown: int | None = None
    ) -> None:
        super().__init__()
        self.empty, self.unknown = empty, unknown
        self.embedding = nn.Embedding(rows, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.dim, self.normalize = dim, normalize

    @property
    def beside_weights(self) -> dict[str, Any]:
        """The tokens that are not averaged, if there are any."""
        return {key: token for key in LEFT_OUT if (token := getattr(self, key)) is not None}

    def adopt(self, architecture: Mapping[str, Any]) -> None:
        """Leave out the tokens that the checkpoint leaves out, if there are any."""
        self.empty, self.unknown = (architecture.get(key) for key in LEFT_OUT)

    def forward(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R D"]:
        """Embed each row; embedding_bag never materialises the (R, L, D) array."""
        weights = self.shares(input_ids, attention_mask).to(self.embedding.weight.dtype)
        pooled = F.embedding_bag(input_ids, self.embedding.weight, mode="sum", per_sample_weights=weights)
        return F.normalize(pooled, dim=-1) if self.normalize else pooled

    def shares(self, input_ids: Int[Tensor, "R L"], attention_mask: Bool[Tensor, "R L"]) -> Float[Tensor, "R L"]:
        """Each token's weight in its text's vector: equal for all, and 0 for padding and left-out tokens."""
        if self.unknown is not None:
            attention_mask = attention_mask & (input_ids != self.unknown)
        if self.empty is not None:
            alone = attention_mask.sum(dim=1, keepdim=True) == 1
            attention_mask = attention_mask & ~(alone & (input_ids == self.empty))
        return attention_mask / attention_mask.sum(dim=1, keepdim=True).clamp(min=1)


def stand_in(tokenizer: Tokenizer) -> int | None:
    """Return 0, the token that a text without tokens is given (see `data.tokens`); None if that token has a meaning.

    It has one if it is a word, or stands for unknown words: a text of one such word is not a text without words.
    """
    if getattr(tokenizer.model, "unk_token", None) == tokenizer.id_to_token(0):
        return None
    special = tokenizer.get_added_tokens_decoder().get(0)
    named = NO_WORD.fullmatch(tokenizer.id_to_token(0) or "")  # [PAD], <s>
    return 0 if named or (special is not None and special.special) else None


def _start(model: str) -> Transformer:
    """The transformer whose token embeddings initialise the table; its other settings do not matter."""
    told = Transformer(model=model, pooling="mean", dense=(), normalize=True, query=Side(), document=Side())
    return replace(told, include_prompt=True)


def _train_tokenizer(corpus: Texts, vocab_size: int) -> Tokenizer:
    """Train a lower-cased BPE tokenizer deterministically.

    The library's WordPiece and Unigram trainers, and BPE with a word suffix, break ties by the order of a hash map.
    Each process would get another tokenizer, and no two runs would be equal.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(_blocks(corpus), trainer)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer


def _blocks(corpus: Texts) -> Iterator[list[str]]:
    with progress(len(corpus), "learn words", "texts") as bar:
        for start in range(0, len(corpus), BLOCK):
            block = corpus.texts.slice(start, BLOCK).to_pylist()
            yield block
            bar.update(len(block))
