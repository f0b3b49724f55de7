"""Consistency: an encoder must find the document again, among a random sample of all documents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64
from torch import Tensor

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError
from hardneg.pairs.base import Pairs
from hardneg.pairs.by_encoder import ByEncoder
from hardneg.retrieval.embedding_blocks import EmbeddingBlocks, document_blocks
from hardneg.retrieval.exact_search import DOCS, QUERIES

HELD_BYTES = 2 * 1024**3  # of sampled documents that are held in main memory
ROUNDING = 1e-6  # of the product of two lengths: what their dot product may differ by, however it is computed


class Consistency(ByEncoder):
    """Keep a pair whose document ranks among the first `top` of a random `sample` of the documents, itself beside it.

    E5 keeps the first 2 of 1M documents, by a model that was trained on all of the noisy pairs (Wang et al.,
    arXiv:2212.03533, CCPairs); Nomic Embed the first 2 by a pretrained model (arXiv:2402.01613). The sample is the same
    for all queries, `seed` chooses it; of several data sets each query has one of its own set. Other documents that are
    known to be relevant to the query, and the document that is the query itself, are not counted; of equal scores the
    pair's own document comes first. Work grows with pairs x sample x dimensions.

    Raises `ConfigError` for numbers below 1, and a `top` that keeps everything.
    """

    def __init__(
        self,
        top: int = 2,
        sample: int = 1_000_000,
        seed: int = 0,
        ckpt_path: str | None = None,
        encoder: EncoderRecipe | None = None,
        precision: str = "auto",
    ) -> None:
        super().__init__(ckpt_path, encoder, precision)
        for key, value in (("top", top), ("sample", sample)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{key}={value!r} must be a whole number, 1 or more")
        if top > sample:
            raise ConfigError(f"top={top} of sample={sample} documents keeps everything; take a larger sample")
        self.top, self.sample, self.seed = top, sample, seed
        self._samples: dict[str, tuple[EmbeddingBlocks, Iterable[Tensor]]] = {}

    def measured_by(self) -> dict[str, Any]:
        """The encoder and the sample."""
        return {**super().measured_by(), "sample": self.sample, "seed": self.seed}

    def limits(self) -> dict[str, Any]:
        """The last rank that is kept."""
        return {"top": self.top}

    def open(self, pairs: Pairs, work: Path) -> None:
        """Draw and embed the sample of each data set that the pairs are of, unless it is embedded already."""
        for number, part in enumerate(pairs.data.parts):
            rows = np.arange(part.docs.start, part.docs.stop, dtype=np.int32)
            if len(rows) > self.sample:
                drawn = np.random.default_rng((self.seed, number)).choice(len(rows), self.sample, replace=False)
                rows = rows[np.sort(drawn)]
            blocks = document_blocks(self.model, rows, work, f"documents-{number}")
            self._samples[part.name] = (blocks, _held(blocks, self.model.device))

    def put_away(self) -> None:
        """Let go of the sample too."""
        self._samples = {}
        super().put_away()

    def measure(self, pairs: Pairs) -> Float32[np.ndarray, "n 1"]:
        """Return the rank of each pair's document, from 1 on."""
        ranks = np.empty((len(pairs), 1), np.float32)
        for part, here in pairs.data.by_part(pairs.queries):
            blocks, held = self._samples[part.name]
            some = pairs.take(here)
            q, least = self._scored(some, blocks)
            for start in range(0, len(some), QUERIES):
                piece = slice(start, start + QUERIES)
                out = _places(some.take(piece), blocks)
                ranks[here][piece, 0] = 1 + _above(q[piece], least[piece], held, out).cpu().numpy()
        return ranks

    def _scored(self, pairs: Pairs, blocks: EmbeddingBlocks) -> tuple[Float[Tensor, "n D"], Float[Tensor, " n"]]:
        """Embed the queries, and say above which score a document stands above each pair's own.

        That is a little more than the pair's score: a document with the same vector, such as one whose first tokens are
        the same, is scored by a product of matrices, which rounds otherwise.
        """
        model = self.model
        named, place = np.unique(pairs.queries, return_inverse=True)
        q = model.embed(QUERY, named)
        q = q[torch.from_numpy(place).to(q.device)]
        docs, place = np.unique(pairs.docs, return_inverse=True)
        d = torch.empty(len(docs), model.towers.dim, device=q.device)
        sampled = blocks.has(docs)
        d[torch.from_numpy(sampled).to(q.device)] = blocks.take(docs[sampled]).to(q.device)
        if not sampled.all():
            d[torch.from_numpy(~sampled).to(q.device)] = model.embed(DOCUMENT, docs[~sampled])
        d = d[torch.from_numpy(place).to(q.device)]
        return q, (q * d).sum(dim=1) + ROUNDING * q.norm(dim=1) * d.norm(dim=1)

    def keep(self, values: Float32[np.ndarray, "n 1"]) -> Bool[np.ndarray, " n"]:
        """Return True for the ranks up to `top`."""
        return values[:, 0] <= self.top

    def told(self, values: Float32[np.ndarray, " 1"]) -> str:
        """Say the rank."""
        return f"rank {int(values[0]):,}"


def _held(blocks: EmbeddingBlocks, device: torch.device) -> Iterable[Tensor]:
    """Hold the vectors on the device, or in main memory, where they fit; else they are read again each time."""
    free = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else HELD_BYTES
    return [block.to(device) for block in blocks] if len(blocks) * blocks.dim * 4 < free else blocks


def _places(pairs: Pairs, blocks: EmbeddingBlocks) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Return (row, place in the sample) of what stands in no pair's way, in the order of the places."""
    docs = pairs.training.excluded.padded(pairs.queries)
    rows, columns = np.nonzero((docs >= 0) & blocks.has(docs))
    places = blocks.positions(docs[rows, columns])
    order = np.argsort(places, kind="stable")
    return rows[order], places[order].astype(np.int64)


@torch.inference_mode()
def _above(
    q: Float[Tensor, "n D"],
    least: Float[Tensor, " n"],
    held: Iterable[Float[Tensor, "_ D"]],
    out: tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]],
) -> Int32[Tensor, " n"]:
    """Count for each query the documents that score above `least`, without those that are `out`."""
    rows, places = out
    counts = torch.zeros(len(q), dtype=torch.int32, device=q.device)
    start = 0
    for block in held:
        for d in block.to(q.device).split(DOCS):
            scores = q @ d.T
            first, last = np.searchsorted(places, [start, start + len(d)])
            here = torch.from_numpy(rows[first:last]), torch.from_numpy(places[first:last] - start)
            scores[here[0].to(q.device), here[1].to(q.device)] = -torch.inf
            counts += (scores > least[:, None]).sum(dim=1, dtype=torch.int32)
            start += len(d)
    return counts
