"""How do time and memory of mining grow with corpus and queries? See README.md beside this file.

Made-up texts and a static tower, so that the texts and the search count and not the encoder; each point in a process of
its own, whose peak memory is read from the system.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from held_memory import mib  # noqa: E402

from hardneg.data.tables import Qrels, RetrievalData, Texts  # noqa: E402

HERE = Path(__file__).parent
DEPTH, K, LONGEST = 100, 20, 256  # documents, negatives, tokens of a document

# name -> (tool, documents, queries, words a document)
CORPUS = {f"corpus {n:,}": ("hardneg", n, 2_000, 20) for n in (10_000, 100_000, 1_000_000)}
QUERIES = {f"queries {n:,}": ("hardneg", 20_000, n, 20) for n in (10_000, 50_000, 200_000)}
TEXTS = {f"{tool}, 2 KB documents": (tool, 20_000, 20_000, 330) for tool in ("hardneg", "st")}
POINTS = {**CORPUS, **QUERIES, **TEXTS}


def main() -> None:
    """Measure every point and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--points", nargs="+", choices=list(POINTS), default=list(POINTS), metavar="POINT")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for mine_scale.md and mine_scale.json")
    parser.add_argument("--point", choices=list(POINTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(*POINTS[args.point])))
        return
    found = {}
    for name in args.points:
        done = subprocess.run(
            [sys.executable, __file__, "--point", name], stdout=subprocess.PIPE, text=True, check=False
        )
        found[name] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"failed": done.returncode}
        print(name, found[name], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "mine_scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "mine_scale.md").write_text(markdown(found), encoding="utf-8")


def measure(tool: str, documents: int, queries: int, words: int) -> dict[str, float]:
    """Mine once; return seconds and MiB."""
    data = made_up(documents, queries, words)
    with tempfile.TemporaryDirectory() as cache:
        seconds = (ours if tool == "hardneg" else theirs)(data, Path(cache))
    return {**seconds, "MiB at the peak": mib("VmHWM")}


def made_up(documents: int, queries: int, words: int) -> RetrievalData:
    """Random sentences over a vocabulary of 20,000 six-letter words; each query's positive is a document it quotes."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    vocabulary = np.array(["".join(word) for word in letters[rng.integers(0, 26, (20_000, 5))]], dtype=object)
    texts = [" ".join(vocabulary[rng.integers(0, 20_000, words)]) for _ in range(documents)]
    positives = rng.integers(0, documents, queries)
    asked = [" ".join(texts[doc].split()[:6]) + f" {number}" for number, doc in enumerate(positives)]
    qrels = Qrels(np.arange(queries, dtype=np.int32), positives.astype(np.int32), np.ones(queries, np.float32))
    corpus, questions = (Texts.of(map(str, range(len(column))), column) for column in (texts, asked))
    return RetrievalData("made up", corpus, questions, {"train": qrels})


def ours(data: RetrievalData, cache: Path) -> dict[str, float]:
    """Hardneg's pipeline; tokenising apart, since later rounds do without it."""
    from hardneg.data.tokens import Side
    from hardneg.data.training_set import TrainingSet
    from hardneg.encoders.static import Static
    from hardneg.encoders.towers import Towers
    from hardneg.filters.known_positives import KnownPositives
    from hardneg.mining.dense import Dense
    from hardneg.mining.pipeline import MiningRecipe, mine_and_store
    from hardneg.retrieval.model import Model

    recipe = Static(init="minilm", document=Side(max_length=LONGEST))
    tokenizer = recipe.tokenizer(data.corpus)
    towers = Towers(recipe, recipe.build(tokenizer))
    before, started = mib("VmHWM"), time.perf_counter()
    model = Model.over(data, towers, recipe, tokenizer, "32-true", cache)
    tokenised = time.perf_counter()
    miner = Dense().ready(data, model, cache)
    mine_and_store(MiningRecipe(miner, DEPTH, "all", {"known_positives": KnownPositives()}), TrainingSet(data), cache)
    return {"tokenise s": tokenised - started, "mine s": time.perf_counter() - tokenised, "MiB before": before}


def theirs(data: RetrievalData, cache: Path) -> dict[str, float]:
    """sentence-transformers' function on the same static embeddings, as many negatives as we draw from."""
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from sentence_transformers.util import mine_hard_negatives
    from tokenizers import Tokenizer

    from hardneg.encoders.static import Static

    disable_progress_bar()
    recipe = Static(init="minilm")
    tokenizer = recipe.tokenizer(data.corpus)
    weights = recipe.build(tokenizer).embedding.weight.detach()
    words = Tokenizer.from_str(tokenizer.to_str())
    words.enable_truncation(LONGEST)
    embedding = StaticEmbedding(words, embedding_weights=weights.numpy())
    model = SentenceTransformer(modules=[embedding], device="cpu")
    positives = data.corpus.take(data.qrels["train"].docs)
    columns = {"anchor": data.queries.texts.to_pylist(), "positive": positives}
    before, started = mib("VmHWM"), time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        mine_hard_negatives(
            Dataset.from_dict(columns), model, corpus=data.corpus.texts.to_pylist(), range_max=DEPTH, num_negatives=K,
            batch_size=64, output_format="triplet", verbose=False,
        )  # fmt: skip
    return {"mine s": time.perf_counter() - started, "MiB before": before}


def markdown(found: dict[str, dict[str, float]]) -> str:
    """Write the table."""
    lines = [
        f"Written by `mine_scale.py` on {datetime.date.today().isoformat()}: a static tower of 384 dimensions,",
        f"depth {DEPTH}, made-up texts. Memory before: the texts, the tower and the libraries.",
        "",
        "| | tokenise s | mine s | MiB before | MiB at the peak |",
        "|---|---|---|---|---|",
    ]
    for name, row in found.items():
        keys = ("tokenise s", "mine s", "MiB before", "MiB at the peak")
        cells = [f"{row[key]:.1f}" if key in row else "" for key in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
