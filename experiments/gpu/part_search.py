"""Encoding with MiniLM in bf16, and exact search for 100,000 queries in a million documents of 384 dimensions."""

from __future__ import annotations

import made_up
import numpy as np
import torch
from part import Part, begin, forget_peak, peak_flops, peak_memory, seconds

from hardneg.encoders.towers import DOCUMENT
from hardneg.errors import UserError
from hardneg.retrieval.embed_tables import embed_rows
from hardneg.retrieval.embedding_blocks import SIZE, EmbeddingBlocks
from hardneg.retrieval.exact_search import exact
from hardneg.retrieval.search import Exact, Faiss, Search
from hardneg.system.progress import silent

DEPTH = 100


def encode(part: Part) -> None:
    """Embed documents of 22 to 64 tokens."""
    from hardneg.data.readers.beir import Beir
    from hardneg.data.tokens import Side, TokenTable
    from hardneg.encoders.towers import Towers
    from hardneg.encoders.transformer import Transformer

    count = part.by_size(40_000, 200, 20)
    data = Beir(path=str(made_up.pairs(part.work, count))).load()
    model = "minilm" if part.size != "tiny" else made_up.bert(part.work, small=True)
    recipe = Transformer(model=model, query=Side(max_length=64), document=Side(max_length=64)).resolved()
    tokenizer = recipe.tokenizer(data.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).to(part.device)
    table = TokenTable.build(data.corpus, tokenizer, recipe.document, part.work / "cache", "documents")
    rows = np.arange(count)

    def embed() -> None:
        embed_rows(towers, table, DOCUMENT, "bf16-mixed", rows, silent())

    embed()
    forget_peak(part.device)
    taken = min(seconds(embed, part.device) for _ in range(2))
    best = peak_flops(part.device, torch.bfloat16)
    share = made_up.step_flops(model, table.lengths[rows], factor=1) / taken / best
    part.add(what="encode", documents=count, seconds=taken, **{"documents/s": count / taken, "of matmul peak": share})
    part.rows[-1]["MiB"] = round(peak_memory(part.device))
    part.write()


def search(part: Part) -> None:
    """Search with each way that is there, whose finds must be those of the first."""
    count, asked = part.by_size((1_000_000, 100_000), (40_000, 512), (500, 20))
    docs = blocks(part, count)
    torch.manual_seed(1)
    q = torch.nn.functional.normalize(torch.randn(asked, docs.dim, device=part.device))
    best = peak_flops(part.device, torch.float32)
    where = torch.device(part.device)
    ways: dict[str, Search | None] = {"exact": Exact(), "exact, read from disk": None, "faiss_flat": Faiss("Flat")}
    truth = None
    for name, way in ways.items():
        held = forget_peak(part.device)
        try:
            searcher = way.over(docs, where) if way is not None else lambda q, k: exact(q, docs, k)
            taken, places = search_once(searcher, q, part.device)
        except (UserError, RuntimeError) as error:
            part.note(f"{name}: left out, {str(error).splitlines()[0]}")
            continue
        truth = places if truth is None else truth
        same = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(truth, places, strict=True)])
        row = {"what": name, "documents": count, "queries": asked, "seconds": taken, "queries/s": asked / taken}
        row |= {"of matmul peak": 2 * count * asked * docs.dim / taken / best, "same top 100": float(same)}
        part.add(**row, MiB=round(peak_memory(part.device) - held))


def search_once(searcher: object, q: torch.Tensor, device: str) -> tuple[float, list[list[int]]]:
    """Search all queries; return the time, and what the first thousand found."""
    found: list[torch.Tensor] = []
    taken = seconds(lambda: found.append(searcher(q, DEPTH)[1]), device)  # type: ignore[operator]
    return taken, found[0][:1000].cpu().tolist()


def blocks(part: Part, count: int) -> EmbeddingBlocks:
    """Write random unit vectors as an embedded corpus lies on disk."""
    folder = part.work / f"vectors-{count}"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    paths = []
    for start in range(0, count, SIZE):
        paths.append(folder / f"{start}.npy")
        rows = torch.randn(min(SIZE, count - start), 384, device=part.device)
        np.save(paths[-1], torch.nn.functional.normalize(rows).cpu().numpy())
    return EmbeddingBlocks(paths, np.arange(count, dtype=np.int32), 384)


def main() -> None:
    """Encode, then search; one that fails does not stop the other."""
    part, failed = begin("search", __doc__ or ""), []
    for do in (encode, search):
        try:
            do(part)
        except Exception as error:
            part.note(f"{do.__name__} failed: {type(error).__name__}: {error}")
            failed.append(error)
    if failed:
        raise failed[0]


if __name__ == "__main__":
    main()
