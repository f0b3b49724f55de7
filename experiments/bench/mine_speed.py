"""How fast is a mining round, next to sentence-transformers' mine_hard_negatives? See README.md beside this file."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # float32 is float32 in every arm
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from hardneg.data.readers.beir import Beir  # noqa: E402
from hardneg.data.tables import Qrels, RetrievalData, Texts  # noqa: E402
from hardneg.data.tokens import Side  # noqa: E402
from hardneg.data.training_set import TrainingSet  # noqa: E402
from hardneg.encoders.precision import resolve_precision  # noqa: E402
from hardneg.encoders.pretrained import locate  # noqa: E402
from hardneg.encoders.towers import DOCUMENT, Towers  # noqa: E402
from hardneg.encoders.transformer import Transformer  # noqa: E402
from hardneg.filters.known_positives import KnownPositives  # noqa: E402
from hardneg.filters.score_margin import RelativeMargin  # noqa: E402
from hardneg.mining.dense import Dense  # noqa: E402
from hardneg.mining.pipeline import MiningRecipe, mine_and_store  # noqa: E402
from hardneg.retrieval.model import Model  # noqa: E402

HERE = Path(__file__).parent
BASE = "st fp32"
TOKENS, DEPTH, K, MARGIN = 64, 100, 20, 0.05
KNOWN = {"known_positives": KnownPositives()}
FILTERS = {**KNOWN, "relative_margin": RelativeMargin(MARGIN)}

# One mining round: the weights to mine with -> the kept documents of each training query.
Round = Callable[[dict[str, torch.Tensor]], list[list[int]]]


@dataclass(frozen=True)
class Workload:
    """The texts, and the weights of the first and the later rounds."""

    training: TrainingSet
    weights: list[dict[str, torch.Tensor]]
    device: str


def main() -> None:
    """Time the arms in turns, round by round, and write the tables."""
    args = arguments()
    torch.set_num_threads(args.threads)
    work = Workload(sample(args), later_weights(args.rounds), args.device)
    times: dict[str, list[float]] = {name: [] for name in args.arms}
    lists: dict[str, list[list[int]]] = {}
    for attempt in range(args.repeats):
        # A new attempt starts with empty caches: its first round tokenises.
        with tempfile.TemporaryDirectory() as cache, contextlib.ExitStack():
            arms = {name: ARMS[name](work, Path(cache) / name.replace(" ", "_")) for name in args.arms}
            for number, weights in enumerate(work.weights):
                order = args.arms if (attempt + number) % 2 == 0 else args.arms[::-1]
                for name in order:
                    wait(args.device)
                    started = time.perf_counter()
                    found = arms[name](weights)
                    wait(args.device)
                    times[name].append(time.perf_counter() - started)
                    if number == 0:
                        lists[name] = found
                print(
                    f"attempt {attempt + 1}, round {number + 1}:",
                    {n: round(t[-1], 2) for n, t in times.items()},
                    flush=True,
                )
    result = {"settings": settings(args, work), "seconds": times, "overlap": overlaps(lists), "rounds": args.rounds}
    result["share_of_peak"] = share_of_peak(work, times)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "mine_speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (args.out / "mine_speed.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in BEIR layout")
    parser.add_argument("--documents", type=int, default=0, help="take so many documents (0: all)")
    parser.add_argument("--queries", type=int, default=0, help="take so many training queries (0: all)")
    parser.add_argument("--repeats", type=int, default=2, help="first rounds, each with empty caches")
    parser.add_argument("--rounds", type=int, default=2, help="rounds an attempt, each with other weights")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch, the same for all arms")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for mine_speed.md and mine_speed.json")
    return parser.parse_args()


def sample(args: argparse.Namespace) -> TrainingSet:
    """Take the first documents and queries of the set, positives included."""
    data = Beir(path=str(args.data)).load()
    labels = data.qrels["train"].relevant
    rows = labels.query_rows[: args.queries or None]
    keep = np.isin(labels.queries, rows)
    wanted = np.unique(labels.docs[keep])
    others = np.setdiff1d(np.arange(len(data.corpus)), wanted)
    size = args.documents or len(data.corpus)
    docs = np.sort(np.concatenate([wanted, others[: max(size - len(wanted), 0)]]))
    corpus = Texts.of(data.corpus.ids.take(docs).to_pylist(), data.corpus.take(docs))
    queries = Texts.of(data.queries.ids.take(rows).to_pylist(), data.queries.take(rows))
    places = (np.searchsorted(rows, labels.queries[keep]), np.searchsorted(docs, labels.docs[keep]))
    qrels = Qrels(*(place.astype(np.int32) for place in places), labels.scores[keep])
    return TrainingSet(RetrievalData(data.name, corpus, queries, {"train": qrels}))


def recipe() -> Transformer:
    """The encoder of all arms."""
    side = Side(max_length=TOKENS)
    return Transformer(model="minilm", query=side, document=side)


def later_weights(rounds: int) -> list[dict[str, torch.Tensor]]:
    """The model as it comes, and a little changed for each later round, as training would."""
    made = recipe()
    first = made.build(made.tokenizer(Texts.of(["0"], ["x"]))).model.state_dict()
    generator = torch.Generator().manual_seed(0)
    changed = [first]
    for _ in range(rounds - 1):
        noise = {
            k: torch.randn(v.shape, generator=generator) * 1e-4 if v.is_floating_point() else 0
            for k, v in first.items()
        }
        changed.append({k: v + noise[k] for k, v in first.items()})
    return changed


def ours(precision: str) -> Callable[[Workload, Path], Round]:
    """Hardneg's pipeline: tokenise (once), embed, search, filter, store."""

    def make(work: Workload, cache: Path) -> Round:
        made = recipe()
        tokenizer = made.tokenizer(work.training.data.corpus)
        towers = Towers(made, made.build(tokenizer)).to(work.device).eval()
        kind = resolve_precision(precision, made, work.device)

        def mine(weights: dict[str, torch.Tensor]) -> list[list[int]]:
            towers.towers["query"].model.load_state_dict(weights)
            model = Model.over(work.training.data, towers, made, tokenizer, kind, cache)
            miner = Dense().ready(work.training.data, model, cache)
            store = mine_and_store(MiningRecipe(miner, DEPTH, "all", FILTERS), work.training, cache)
            return [store.kept(query)[:K].tolist() for query in work.training.queries.tolist()]

        return mine

    return make


def theirs(dtype: torch.dtype) -> Callable[[Workload, Path], Round]:
    """sentence-transformers' function with its defaults, and the same depth, margin and number of negatives."""

    def make(work: Workload, _: Path) -> Round:
        from datasets import Dataset
        from datasets.utils.logging import disable_progress_bar
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
        from sentence_transformers.sentence_transformer.modules import Transformer as Encoder
        from sentence_transformers.util import mine_hard_negatives

        disable_progress_bar()
        encoder = Encoder(str(locate("minilm")), max_seq_length=TOKENS, model_kwargs={"torch_dtype": dtype})
        pooling = Pooling(encoder.get_embedding_dimension(), pooling_mode="mean")
        model = SentenceTransformer(modules=[encoder, pooling, Normalize()], device=work.device)
        data, training = work.training.data, work.training
        pairs = [(q, d) for q in training.queries.tolist() for d in training.positives[q].tolist()]
        columns = {"anchor": [data.queries[q] for q, _ in pairs], "positive": [data.corpus[d] for _, d in pairs]}
        texts = data.corpus.texts.to_pylist()
        row = {text: number for number, text in enumerate(texts)}
        asked = {data.queries[q]: i for i, q in enumerate(training.queries.tolist())}

        def mine(weights: dict[str, torch.Tensor]) -> list[list[int]]:
            encoder.auto_model.load_state_dict(
                {k: v for k, v in weights.items() if not k.startswith("pooler")}, strict=False
            )
            with contextlib.redirect_stderr(io.StringIO()):
                mined = mine_hard_negatives(
                    Dataset.from_dict(columns), model, corpus=texts, range_max=DEPTH, relative_margin=MARGIN,
                    num_negatives=K, batch_size=64, output_format="triplet", verbose=False,
                )  # fmt: skip
            found: list[list[int]] = [[] for _ in asked]
            for query, negative in zip(mined["anchor"], mined["negative"], strict=True):
                found[asked[query]].append(row[negative])
            return found

        return mine

    return make


ARMS: dict[str, Callable[[Workload, Path], Round]] = {
    "st fp32": theirs(torch.float32),
    "hardneg fp32": ours("32-true"),
    "hardneg defaults": ours("auto"),
}
PAIRS = [("hardneg fp32", "st fp32", 1.2, None), ("hardneg defaults", "st fp32", 2.2, 4.0)]


def wait(device: str) -> None:
    """Let a GPU finish."""
    if device == "cuda":
        torch.cuda.synchronize()


def overlaps(lists: dict[str, list[list[int]]]) -> dict[str, float]:
    """Mean share of a query's list that sentence-transformers found too, as far as both reach."""
    if BASE not in lists:
        return {}
    return {name: _overlap(found, lists[BASE]) for name, found in lists.items() if name != BASE}


def _overlap(one: list[list[int]], other: list[list[int]]) -> float:
    shares = []
    for a, b in zip(one, other, strict=True):
        n = min(len(a), len(b))
        if n:
            shares.append(len(set(a[:n]) & set(b[:n])) / n)
    return float(np.mean(shares)) if shares else float("nan")


def share_of_peak(work: Workload, times: dict[str, list[float]]) -> dict[str, float]:
    """Which share of this machine's matmul speed (measured now, same precision) a whole round reaches."""
    made = recipe()
    tokenizer = made.tokenizer(work.training.data.corpus)
    with tempfile.TemporaryDirectory() as cache:
        towers = Towers(made, made.build(tokenizer))
        model = Model.over(work.training.data, towers, made, tokenizer, "32-true", Path(cache))
        config = towers.tower(DOCUMENT).model.config
        matrices = config.num_hidden_layers * (
            4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
        )
        lengths = np.concatenate([model.docs.lengths, model.queries.lengths])
        work_done = (
            2.0 * matrices * lengths.sum() + 4.0 * config.num_hidden_layers * config.hidden_size * (lengths**2).sum()
        )
    out = {}
    for name, seconds in times.items():
        dtype = (
            torch.bfloat16
            if name == "hardneg defaults" and resolve_precision("auto", made, work.device) != "32-true"
            else torch.float32
        )
        out[name] = work_done / statistics.median(seconds) / matmul_speed(work.device, dtype)
    return out


def matmul_speed(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large square product, the best of several."""
    n = 8192 if device == "cuda" else 1536
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        wait(device)
        started = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * n**3 / best


def settings(args: argparse.Namespace, work: Workload) -> dict[str, object]:
    """What the numbers rest on."""
    device = torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine()
    packages = ("hardneg", "torch", "transformers", "sentence-transformers")
    return {
        "date": datetime.date.today().isoformat(),
        "data": args.data.name,
        "documents": len(work.training.data.corpus),
        "queries": len(work.training.queries),
        "device": device,
        "threads": args.threads,
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in packages},
    }


def markdown(result: dict) -> str:
    """Write the tables."""
    at, rounds, times = result["settings"], result["rounds"], result["seconds"]
    versions = ", ".join(f"{name} {number}" for name, number in at["versions"].items())
    lines = [
        f"Written by `mine_speed.py` on {at['date']}: {at['data']}, {at['documents']} documents,",
        f"{at['queries']} queries, {TOKENS} tokens, depth {DEPTH}, {K} negatives, relative margin {MARGIN};",
        f"{at['device']}, {at['threads']} threads, load {at['load']} at the end; {versions}.",
        "",
        "| arm | round | seconds | of matmul speed | same negatives |",
        "|---|---|---|---|---|",
    ]
    first = {name: values[::rounds] for name, values in times.items()}
    later = {name: [v for i, v in enumerate(values) if i % rounds] for name, values in times.items()}
    for name in times:
        peak, same = (
            f"{result['share_of_peak'][name]:.0%}",
            f"{result['overlap'][name]:.1%}" if name in result["overlap"] else "",
        )
        for label, values in (("first", first[name]), ("later", later[name])):
            if values:
                lines.append(f"| {name} | {label} | {statistics.median(values):.1f} | {peak} | {same} |")
    lines += ["", "| arm | against | first round | later rounds | aim |", "|---|---|---|---|---|"]
    for name, base, aim, later_aim in PAIRS:
        if name in times and base in times:
            ratios = [_ratio(part[base], part[name]) for part in (first, later)]
            goal = f">= {aim}" + (f", later >= {later_aim}" if later_aim else "")
            lines.append(f"| {name} | {base} | **{ratios[0]}** | **{ratios[1]}** | {goal} |")
    return "\n".join([*lines, "", "Ratios are medians over paired rounds, with the lowest and the highest.", ""])


def _ratio(slow: list[float], fast: list[float]) -> str:
    values = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{statistics.median(values):.2f} ({values[0]:.2f}-{values[-1]:.2f})" if values else ""


if __name__ == "__main__":
    main()
