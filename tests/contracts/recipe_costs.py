"""What a published recipe asks of GPUs: memory and time estimated by formulas, and the command for so many of them.

Training a token costs 6 floating-point operations a weight, 8 where activations are computed again (Kaplan et al. 2020,
arXiv:2001.08361). Activations take 34 bytes a token, layer and width in half precision, 2 where only the layers' inputs
are kept (Korthikanti et al. 2022, arXiv:2205.05198). Trained weights take 16 bytes: float32, gradient, two of Adam.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

PEAK = 989e12  # of an H100 (SXM) in bfloat16, dense
SHARE = 0.4  # of the peak that is reached
FITS = 70e9  # bytes of 80 GB that may be planned with
# GradCache, weights split (which goes with no GradCache), on how many GPUs: what is tried, in order
WAYS = [(False, False, 1), (True, False, 1), *((False, True, gpus) for gpus in (2, 4, 8))]
QUERIES = 500_000  # of MS MARCO, where a recipe counts epochs
PART = 16_384  # tokens of a part, encoder.tokens=auto on a GPU


@dataclass(frozen=True)
class Shape:
    """A model's layers, width, millions of weights, and those of them in its table of words."""

    layers: int
    width: int
    weights: float
    words: float


BERT, LARGE, DISTIL = Shape(12, 768, 110, 24), Shape(24, 1024, 335, 31), Shape(6, 768, 66, 24)
SHAPES = {
    "FacebookAI/roberta-base": Shape(12, 768, 125, 39),
    "google-bert/bert-base-uncased": BERT,
    "intfloat/e5-base-unsupervised": BERT,
    "intfloat/simlm-base-msmarco": BERT,
    "nghuyong/ernie-2.0-base-en": BERT,
    "google/electra-base-discriminator": BERT,
    "nghuyong/ernie-2.0-large-en": LARGE,
    "intfloat/e5-large-unsupervised": LARGE,
    "distilbert/distilbert-base-uncased": DISTIL,
    "GPL/msmarco-distilbert-margin-mse": DISTIL,
    "BAAI/bge-m3-unsupervised": Shape(24, 1024, 568, 264),
    "nomic-ai/modernbert-embed-base-unsupervised": Shape(22, 768, 149, 39),
    "Qwen/Qwen3-0.6B": Shape(28, 1024, 596, 156),
    "Qwen/Qwen3-0.6B-Base": Shape(28, 1024, 596, 156),
    "meta-llama/Llama-3.1-8B": Shape(32, 4096, 7505, 525),
    "mistralai/Mistral-7B-v0.1": Shape(32, 4096, 7111, 131),
}


@dataclass(frozen=True)
class Cost:
    """GPUs, bytes on each, hours of all of them in sum, and what the command needs for it."""

    gpus: int
    memory: float
    hours: float
    words: tuple[str, ...] = ()


def cost(node: dict) -> Cost:
    """Estimate a composed recipe on as few GPUs of 80 GB as hold it: as it is, else with GradCache, else split up."""
    encoder, trainer, shape = node["encoder"], node["trainer"], SHAPES[node["encoder"]["model"]]
    row, states = tokens_of_a_query(node), held(encoder, shape)
    kept = shape.layers * shape.width * (2 if encoder.get("gradient_checkpointing") else 34)
    for cached, split, gpus in WAYS:
        cached = cached or encoder.get("grad_cache")
        tokens = min(row * node["batch_size"] / gpus, PART if cached else float("inf"))
        memory = states / (gpus if split else 1) + tokens * kept
        if memory <= FITS:
            break
    else:
        raise ValueError(f"{encoder['model']} does not fit {gpus} GPUs")
    again = cached or encoder.get("gradient_checkpointing")
    accumulated = trainer.get("accumulate_grad_batches") or 1
    long = trainer["max_steps"] * node["batch_size"] * accumulated if trainer["max_steps"] > 0 else None
    rows = long or trainer["max_epochs"] * QUERIES
    work = (8 if again else 6) * (shape.weights - shape.words) * 1e6 * row * rows
    words = [f"trainer.devices={gpus}", f"batch_size={ceil(node['batch_size'] / gpus)}"] if gpus > 1 else []
    words += ["trainer=fsdp2"] if split else []
    words += ["encoder.grad_cache=true"] if cached and not encoder.get("grad_cache") else []
    return Cost(gpus, memory, work / (PEAK * SHARE) / 3600, tuple(words))


def tokens_of_a_query(node: dict) -> int:
    """Return the tokens of a query, its positive and its drawn negatives, each at its full length."""
    documents = 1 + sum(source.get("k") or 0 for source in node["negatives"].values())
    encoder = node["encoder"]
    if "query" not in encoder:  # a cross-encoder reads pairs
        return documents * encoder["max_length"]
    return encoder["query"]["max_length"] + documents * encoder["document"]["max_length"]


def held(encoder: dict, shape: Shape) -> float:
    """Return the bytes of weights, gradients and what the optimizer keeps."""
    size = 2 if encoder.get("dtype") == "bfloat16" else 4
    if (encoder.get("lora") or {}).get("r"):
        return shape.weights * 1e6 * size * 1.02  # adapters are about a hundredth
    towers = 2 if encoder.get("separate") else 1
    momentum = 4 if encoder.get("momentum") else 0
    return shape.weights * 1e6 * (16 * towers + momentum)


def command(name: str, verb: str, node: dict, data: str) -> str:
    """Return the line that runs a recipe on the GPUs that it needs."""
    return " ".join([f"hardneg {verb} experiment={name}", data, *cost(node).words])


def said(found: Cost) -> tuple[str, str]:
    """Return memory and time as a person says them."""
    time = f"{found.hours * 60:.0f} minutes" if found.hours < 1.5 else f"{found.hours:,.0f} hours"
    return f"{found.memory / 1e9:.0f} GB" + (f" on each of {found.gpus}" if found.gpus > 1 else ""), time
