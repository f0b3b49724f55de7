"""Made-up texts of MiniLM's words in BEIR layout, and models with random weights: nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from hardneg.encoders.pretrained import locate


def pairs(folder: Path, count: int, seed: int = 0) -> Path:
    """Write `count` training queries of 6 to 20 words, each with a document of 20 to 70 that begins with its words."""
    folder = folder / f"pairs-{count}"
    if (folder / "qrels" / "train.tsv").exists():
        return folder
    vocabulary = (Path(locate("minilm")) / "vocab.txt").read_text(encoding="utf-8").split()
    words = np.array([word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2])
    rng = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w") as corpus, (folder / "queries.jsonl").open("w") as queries:
        for number in range(count):
            text = words[rng.integers(0, len(words), rng.integers(20, 71))]
            asked = text[: rng.integers(6, 21)]
            corpus.write(json.dumps({"_id": f"d{number}", "title": "", "text": " ".join(text)}) + "\n")
            queries.write(json.dumps({"_id": f"q{number}", "text": " ".join(asked)}) + "\n")
    lines = [f"q{number}\td{number}\t1\n" for number in range(count)]
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return folder


def bert(folder: Path, small: bool) -> str:
    """Save a BERT of base shape (12 layers of 768; `small`: 2 of 64) with random weights and MiniLM's tokenizer."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = folder / ("bert-small" if small else "bert-base")
    if (folder / "tokenizer.json").exists():
        return str(folder)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    torch.manual_seed(0)
    BertModel(BertConfig(**(shape if small else {}))).save_pretrained(folder)
    AutoTokenizer.from_pretrained(locate("minilm")).save_pretrained(folder)
    return str(folder)


def step_flops(model: str, lengths: np.ndarray, factor: int = 3) -> float:
    """Count the multiplications and additions that texts of these lengths need without padding, by the matrices.

    Twice the weights of the layers and 4 * length * width a layer for each token, times `factor`: 1 for a forward pass,
    3 for a training step.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(locate(model))
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    weights = layers * (4 * width**2 + 2 * width * inner)
    return float(factor * (2 * weights * lengths + 4 * layers * width * lengths.astype(float) ** 2).sum())
