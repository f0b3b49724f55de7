"""Nearest-neighbour search over the embeddings of a corpus: exact in bounded memory, or through faiss."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hardneg.errors import ConfigError, UserError
from hardneg.retrieval.embedding_blocks import SIZE, EmbeddingBlocks
from hardneg.retrieval.exact_search import exact, ignore, queries_at_once
from hardneg.system import distributed

log = logging.getLogger(__name__)

POINTS = 39  # training points per cell, below which faiss warns
SAMPLE = 262_144  # documents that a faiss index is trained on, at most

Tick = Callable[[int], object]  # hears how many more documents all queries have been compared with


@runtime_checkable
class Searcher(Protocol):
    """An index that can be asked."""

    def __call__(
        self, q: Float[Tensor, "Q D"], k: int, tick: Tick = ..., /
    ) -> tuple[Float[Tensor, "Q K"], Int[Tensor, "Q K"]]:
        """Return scores and positions of the k best documents (or all, if fewer) of each query, best first."""


class Search(ABC):
    """A way to search; the constructor is cheap, `over` builds the index."""

    @abstractmethod
    def over(self, docs: EmbeddingBlocks, device: torch.device) -> Searcher:
        """Index these embeddings."""

    def in_shares(self, device: torch.device) -> bool:
        """Whether each of several ranks is to index a share of the documents (see `rank_shares`), not all of them."""
        return False

    def queries_at_once(self, dim: int, k: int, device: torch.device) -> int:
        """How many queries may be asked at once."""
        return SIZE

    def check(self, documents: int, dim: int, device: torch.device) -> None:  # noqa: B027  most have nothing to refuse
        """Raise `ConfigError`, before anything is embedded, for what cannot index that many documents there."""

    def identity(self) -> dict[str, Any]:
        """The settings that determine the result: part of a store's fingerprint."""
        return {"search": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Exact(Search):
    """Every query against every document, by matrix products; on a GPU the corpus stays there if it fits in half.

    The documents are read once for as many queries as memory holds (`exact_search.queries_at_once`); each of several
    ranks reads a share of them.
    """

    def over(self, docs: EmbeddingBlocks, device: torch.device) -> Searcher:
        """Read the blocks from disk for each question, or hold them on the GPU."""
        held: Iterable[Tensor] = docs
        if device.type == "cuda" and len(docs) * docs.dim * 4 < torch.cuda.mem_get_info(device)[0] / 2:
            held = [torch.cat([block.to(device) for block in docs])]
        return lambda q, k, tick=ignore, /: exact(q, held, k, tick)

    def in_shares(self, device: torch.device) -> bool:
        """Ranks always share: each holds, or reads, only its part of the documents."""
        return True

    def queries_at_once(self, dim: int, k: int, device: torch.device) -> int:
        """As many as fit in memory, since the documents are read once for all of them."""
        return queries_at_once(dim, k, device)


@dataclass(frozen=True)
class Faiss(Search):
    """A faiss index by its factory string (Douze et al., arXiv:2401.08281), on GPUs where faiss and torch see them.

    A process alone spreads its index over all GPUs; of several ranks each holds a share on the GPU that it computes on.
    So an index may be as large as all GPUs together.
    `index` is for example "Flat" (exact), "IVF256,Flat" or "HNSW32"; `nprobe` is the number of cells an IVF index
    visits, `ef_search` the width of an HNSW search; the other one is ignored. Scores are inner products.
    """

    index: str = "Flat"
    nprobe: int = 64
    ef_search: int = 128

    def check(self, documents: int, dim: int, device: torch.device) -> None:
        """Refuse a string that faiss does not know, more cells than documents, and a graph on a GPU.

        Raises `ConfigError`, which says what to take instead.
        """
        faiss = load_faiss()
        cells = faiss.try_extract_index_ivf(self._empty(dim))
        if cells is not None and cells.nlist > documents:
            fewer = re.sub(r"IVF\d+", f"IVF{max(1, documents // POINTS)}", self.index)
            raise ConfigError(
                f"search.index={self.index!r} has {cells.nlist} cells, which are learnt from {cells.nlist} documents or"
                f" more; there are {documents}: take search=exact or search=faiss_flat, which need none, or"
                f" 'search.index=\"{fewer}\"'"
            )
        if "HNSW" in self.index and device.type == "cuda" and faiss.get_num_gpus() > 0:
            raise ConfigError(
                f"search.index={self.index!r}: faiss has no HNSW on GPUs; take search=exact, search=faiss_flat or"
                " search=faiss_ivf, or faiss without GPUs (faiss-cpu)"
            )

    def in_shares(self, device: torch.device) -> bool:
        """True where ranks search on GPUs of their own, whose memory limits an index."""
        return distributed.active() and device.type == "cuda" and load_faiss().get_num_gpus() > 0

    def _empty(self, dim: int) -> Any:
        faiss = load_faiss()
        try:
            return faiss.index_factory(dim, self.index, faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise ConfigError(f"search.index={self.index!r} is not a faiss index: {error}") from error

    def over(self, docs: EmbeddingBlocks, device: torch.device) -> Searcher:
        """Train the index on an even sample and add all; raises `UserError` where faiss is not installed.

        A share is indexed as the whole would be, after the same training: shares find together what the whole would.

        Raises `ConfigError` for too few documents to train on.
        """
        faiss = load_faiss()
        self.check(len(docs.whole), docs.dim, device)
        index = self._empty(docs.dim)
        on_gpu = device.type == "cuda" and faiss.get_num_gpus() > 0
        log.info("search.index=%s: %s", self.index, where_faiss_searches(faiss, device))
        if on_gpu:
            index = to_gpus(faiss, index, device)
        if not index.is_trained:
            step = -(-len(docs.whole) // SAMPLE)
            try:
                # Copies: a view would keep its whole block in memory, and all views together the corpus.
                index.train(torch.cat([block[::step].clone() for block in docs.whole]).numpy())
            except RuntimeError as error:
                raise ConfigError(
                    f"search.index={self.index!r} cannot be trained on {len(docs.whole)} documents ({error}); take"
                    " search=exact or search=faiss_flat, which need no training"
                ) from error
        for block in docs:
            index.add(block.numpy())
        parameters = faiss.GpuParameterSpace() if on_gpu else faiss.ParameterSpace()
        set_breadth(parameters, index, self.index, self.nprobe, self.ef_search)

        def search(q: Tensor, k: int, tick: Tick = ignore, /) -> tuple[Tensor, Tensor]:
            scores, positions = index.search(q.float().cpu().numpy(), min(k, len(docs)))
            tick(len(docs))
            return torch.from_numpy(scores), torch.from_numpy(positions)

        return search


def set_breadth(parameters: Any, index: Any, factory: str, nprobe: int, ef_search: int) -> None:
    """Set how many cells an IVF index visits, and how wide a graph is searched: what the `factory` string has of both.

    `parameters` is faiss's ParameterSpace, of the CPU or of GPUs.
    """
    if "IVF" in factory:
        parameters.set_index_parameter(index, "nprobe", nprobe)
    if "HNSW" in factory:
        parameters.set_index_parameter(index, "efSearch", ef_search)


def to_gpus(faiss: Any, index: Any, device: torch.device) -> Any:
    """Put an empty index on this rank's GPU, or, in a single process, in shards on all GPUs (not a copy on each)."""
    if distributed.active() or faiss.get_num_gpus() == 1:
        resources = faiss.StandardGpuResources()
        placed = faiss.index_cpu_to_gpu(resources, device.index or 0, index)
        placed.referenced = resources  # faiss does not keep them alive
        return placed
    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)


def where_faiss_searches(faiss: Any, device: torch.device) -> str:
    """Say whether faiss uses a GPU, and what to install where it could but does not."""
    if device.type != "cuda":
        return "faiss searches on the CPU"
    gpus = faiss.get_num_gpus()
    if gpus == 0:
        return f"faiss searches on the CPU, since the one installed sees no GPU; {faiss_for_gpus(torch.version.cuda)}"
    if distributed.active() or gpus == 1:
        return f"faiss searches on GPU {device.index or 0}"
    return f"faiss searches on {gpus} GPUs, a share on each"


def faiss_for_gpus(cuda: str | None) -> str:
    """Name the package on PyPI that fits the CUDA of this torch, or say that there is none."""
    major = (cuda or "").split(".")[0]
    if major == "12":
        return "pip uninstall faiss-cpu, then pip install 'hardneg[faiss-gpu]'"
    if major == "11":
        return "pip uninstall faiss-cpu, then pip install faiss-gpu-cu11"
    return f"PyPI has no faiss for GPUs with CUDA {cuda}: take search=exact, which uses the GPU, or conda's faiss-gpu"


def load_faiss(setting: str = "search=faiss_*", otherwise: str = "search=exact needs no more than torch") -> Any:
    """Import faiss; raises `UserError` that says what to install for what was asked, or what does `otherwise`."""
    try:
        import faiss
    except ImportError as error:
        raise UserError(
            f"{setting} needs faiss: pip install 'hardneg[faiss]' (or, on GPUs, 'hardneg[faiss-gpu]', not both);"
            f" {otherwise}"
        ) from error
    # Since 1.14 faiss leaves BLAS for small blocks of queries, which is several times slower at our sizes.
    if hasattr(faiss.cvar, "distance_compute_blas_threshold"):
        faiss.cvar.distance_compute_blas_threshold = 0
    return faiss
