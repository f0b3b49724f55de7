"""What do the search backends cost, and what do those that are not exact miss? See README.md beside this file."""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from hydra import compose, initialize_config_module  # noqa: E402
from tqdm import tqdm  # noqa: E402

from hardneg.config import classes, composition  # noqa: E402
from hardneg.data.readers.beir import Beir  # noqa: E402
from hardneg.encoders.static import Static  # noqa: E402
from hardneg.encoders.towers import QUERY, Towers  # noqa: E402
from hardneg.retrieval.embed_tables import embed_rows  # noqa: E402
from hardneg.retrieval.embedding_blocks import embed_blocks  # noqa: E402
from hardneg.retrieval.model import Model  # noqa: E402

HERE = Path(__file__).parent
BACKENDS = ("exact", "faiss_flat", "faiss_ivf", "faiss_hnsw")
DEPTH, ROUNDS = 100, 3


def main() -> None:
    """Search with every backend in turns, and compare with a float64 ranking."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in BEIR layout")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for search.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        q, blocks = embedded(args.data, Path(folder), torch.device(args.device))
        docs = torch.cat(list(blocks)).double()
        truth = [set((row @ docs.T).topk(DEPTH).indices.tolist()) for row in q.cpu().double()]
        build: dict[str, list[float]] = {name: [] for name in BACKENDS}
        ask: dict[str, list[float]] = {name: [] for name in BACKENDS}
        recall: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name in BACKENDS:
                started = time.perf_counter()
                searcher = backend(name).over(blocks, torch.device(args.device))
                built = time.perf_counter()
                _, places = searcher(q, DEPTH)
                found = places.cpu().tolist()
                ask[name].append(time.perf_counter() - built)
                build[name].append(built - started)
                recall[name] = float(np.mean([len(t & set(row)) / DEPTH for t, row in zip(truth, found, strict=True)]))
    device = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    lines = [
        f"Written by `search.py` on {datetime.date.today().isoformat()}: {args.data.name}, {len(docs)} documents,",
        f"{len(q)} queries, {docs.shape[1]} dimensions, depth {DEPTH}; {device}, {torch.get_num_threads()} threads;"
        f" torch {version('torch')}, faiss {version('faiss-cpu')}.",
        "",
        "| search= | build s | search s | recall of the exact top 100 |",
        "|---|---|---|---|",
    ]
    for name in BACKENDS:
        times = [statistics.median(part[name]) for part in (build, ask)]
        lines.append(f"| {name} | {times[0]:.2f} | {times[1]:.2f} | {recall[name]:.2%} |")
    print("\n".join(lines))
    (args.out / "search.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def embedded(path: Path, folder: Path, device: torch.device) -> tuple:
    """Embed queries and documents with a static tower."""
    data = Beir(path=str(path)).load()
    recipe = Static(init="minilm")
    tokenizer = recipe.tokenizer(data.corpus)
    towers = Towers(recipe, recipe.build(tokenizer)).to(device)
    model = Model.over(data, towers, recipe, tokenizer, "32-true", folder)
    work = folder / "work"
    work.mkdir()
    blocks = embed_blocks(model, np.arange(len(data.corpus), dtype=np.int32), work, "documents")
    with tqdm(disable=True) as silent:
        q = embed_rows(towers, model.queries, QUERY, "32-true", data.split("train").query_rows, silent)
    return q, blocks


def backend(name: str) -> object:
    """Make the backend as `search=NAME` does."""
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        return classes.build(compose("mine", [f"search={name}"]).search)


if __name__ == "__main__":
    main()
