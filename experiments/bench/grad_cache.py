"""What does a batch of thousands cost with GradCache, in time and memory? See README.md beside this file."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from held_memory import mib  # noqa: E402

from hardneg.data.readers.beir import Beir  # noqa: E402
from hardneg.data.tables import RetrievalData  # noqa: E402

HERE = Path(__file__).parent
TOKENS, TEMPERATURE, CHUNK = 64, 0.05, 32

# One training step without the optimiser: forward, backward, gradients thrown away.
Step = Callable[[], None]


def main() -> None:
    """Measure memory in processes of their own and time in turns, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in BEIR layout")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--largest-plain", type=int, default=1024, help="the plain step needs memory without end")
    parser.add_argument("--rounds", type=int, default=3, help="each arm's steps in turns, at every batch size")
    parser.add_argument("--largest-timed", type=int, default=1024, help="above it one step each, the one for memory")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=HERE, help="folder for grad_cache.md and grad_cache.json")
    parser.add_argument("--memory", nargs=2, metavar=("ARM", "BATCH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory:
        print(json.dumps(memory(args, args.memory[0], int(args.memory[1]))))
        return
    found = []
    for batch in args.batches:
        arms = [arm for arm in ARMS if arm != "plain" or batch <= args.largest_plain]
        seconds = in_turns(args, arms, batch) if batch <= args.largest_timed else {}
        for arm in arms:
            command = [sys.executable, __file__, "--memory", arm, str(batch), "--data", str(args.data)]
            command += ["--device", args.device, "--threads", str(args.threads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            peak = json.loads(done.stdout.splitlines()[-1])
            alone = peak.pop("seconds")
            seconds.setdefault(arm, [alone])
            ratios = [ours / theirs for ours, theirs in zip(seconds[arm], seconds["st"], strict=True)]
            found.append({"arm": arm, "batch": batch, "seconds": seconds[arm], "to st": ratios, **peak})
            print(found[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "grad_cache.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (args.out / "grad_cache.md").write_text(markdown(args, found), encoding="utf-8")
    print(markdown(args, found))


def in_turns(args: argparse.Namespace, arms: list[str], batch: int) -> dict[str, list[float]]:
    """Time each arm's steps in turns, after one each to warm up."""
    steps = {arm: ARMS[arm](pairs(args.data, batch), args.device) for arm in arms}
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for number in range(args.rounds + 1):
        for arm in arms if number % 2 else arms[::-1]:
            taken = timed(steps[arm], args.device)
            if number:
                seconds[arm].append(taken)
    return seconds


def pairs(path: Path, batch: int) -> tuple[RetrievalData, np.ndarray, np.ndarray]:
    """Take so many queries of the training split, each with its first positive."""
    data = Beir(path=str(path)).load()
    labels = data.qrels["train"].relevant
    queries, first = np.unique(labels.queries, return_index=True)
    return data, queries[:batch], labels.docs[first][:batch]


def ours(grad_cache: bool) -> Callable[[tuple[RetrievalData, np.ndarray, np.ndarray], str], Step]:
    """Hardneg's towers, with and without `grad_cache`; in one part or in parts of CHUNK texts of TOKENS tokens."""

    def make(chosen: tuple[RetrievalData, np.ndarray, np.ndarray], device: str) -> Step:
        from hardneg.data.tokens import Side
        from hardneg.encoders.towers import Towers
        from hardneg.encoders.transformer import Transformer
        from hardneg.losses.infonce import InfoNCE
        from hardneg.matrix.batch import Batch, Tokens
        from hardneg.matrix.candidates import Candidates
        from hardneg.negatives.in_batch import InBatch

        data, queries, docs = chosen
        side = Side(max_length=TOKENS)
        recipe = Transformer(model="minilm", query=side, document=side, grad_cache=grad_cache)
        tokenizer = recipe.tokenizer(data.corpus)
        towers = Towers(recipe, recipe.build(tokenizer)).to(device).train()
        tokenizer.enable_truncation(TOKENS)

        def tokens(texts: list[str]) -> Tokens:
            encoded = tokenizer.encode_batch(texts)
            mask = torch.tensor([one.attention_mask for one in encoded], dtype=torch.bool)
            return Tokens(torch.tensor([one.ids for one in encoded]), mask, mask.sum(dim=1))

        rows = torch.arange(len(queries))
        known = torch.from_numpy(docs.astype(np.int64))[:, None]
        batch = Batch(
            queries=tokens(data.queries.take(queries)), docs=tokens(data.corpus.take(docs)), query_ids=rows,
            doc_ids=known, source=torch.zeros_like(known), positive_ids=known,
        ).to(device)  # fmt: skip
        loss, source = InfoNCE(TEMPERATURE).to(device), InBatch()

        def step() -> None:
            towers.zero_grad(set_to_none=True)
            q, d = towers.both(batch.queries, batch.docs)
            d = d.unflatten(0, batch.doc_ids.shape)
            c = Candidates.own(q, d, batch, ("positive", "in_batch")).add(q, source(q, d, batch), "in_batch")
            loss(c).mean().backward()

        return step

    return make


def theirs(chosen: tuple[RetrievalData, np.ndarray, np.ndarray], device: str) -> Step:
    """sentence-transformers' CachedMultipleNegativesRankingLoss, its default chunk of 32 texts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from sentence_transformers.sentence_transformer.modules import Transformer as Encoder

    from hardneg.encoders.pretrained import locate

    data, queries, docs = chosen
    encoder = Encoder(str(locate("minilm")), max_seq_length=TOKENS)
    pooling = Pooling(encoder.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[encoder, pooling, Normalize()], device=device).train()
    loss = CachedMultipleNegativesRankingLoss(model, scale=1 / TEMPERATURE, mini_batch_size=CHUNK)
    texts = (data.queries.take(queries), data.corpus.take(docs))
    features = [{k: v.to(device) for k, v in model.preprocess(part).items() if hasattr(v, "to")} for part in texts]

    def step() -> None:
        model.zero_grad(set_to_none=True)
        # A copy: the model writes its output into the features.
        loss([dict(part) for part in features], torch.arange(len(queries), device=device)).backward()

    return step


ARMS = {"st": theirs, "hardneg": ours(True), "plain": ours(False)}


def timed(step: Step, device: str) -> float:
    """Run one step and wait for it."""
    started = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def memory(args: argparse.Namespace, arm: str, batch: int) -> dict[str, float]:
    """Run one step, time it and read the peak, in MiB: of the process on a CPU, of torch's allocator on a GPU."""
    step = ARMS[arm](pairs(args.data, batch), args.device)
    before = mib("VmHWM")
    seconds = timed(step, args.device)
    if args.device == "cuda":
        return {"seconds": seconds, "MiB before": 0.0, "MiB": torch.cuda.max_memory_allocated() / 2**20}
    return {"seconds": seconds, "MiB before": before, "MiB": mib("VmHWM")}


def markdown(args: argparse.Namespace, found: list[dict]) -> str:
    """Write the table."""
    device = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    packages = ("torch", "transformers", "sentence-transformers")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        f"Written by `grad_cache.py` on {datetime.date.today().isoformat()}: all-MiniLM-L6-v2, {TOKENS} tokens,",
        f"float32, {args.data.name}; {device}, {args.threads} threads; {versions}.",
        "",
        "| batch | arm | seconds a step | time against st | MiB before | MiB at the peak |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        ratio = f"{statistics.median(row['to st']):.2f} ({min(row['to st']):.2f}-{max(row['to st']):.2f})"
        cells = [row["batch"], row["arm"], f"{statistics.median(row['seconds']):.1f}", ratio]
        lines.append("| " + " | ".join(map(str, [*cells, f"{row['MiB before']:.0f}", f"{row['MiB']:.0f}"])) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
