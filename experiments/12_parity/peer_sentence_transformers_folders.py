"""Embeddings of sentence-transformers folders by their model and by ours: poolings, Dense, unit vectors, prompts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from rows import Row, named, write
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tiny import DOCUMENTS, QUERIES, WIDTH, composed, folder, texts

from hardneg.config import classes
from hardneg.data.tables import RetrievalData, Texts
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.retrieval.embed_tables import embed_table
from hardneg.retrieval.model import Model

PEER = "sentence-transformers"
FLOAT32 = 2e-6  # both compute in float32 here; components are about 1
LONG = [" ".join(texts(30, 5))]  # longer than any of the lengths


def saved(
    pooling: str, *behind: Any, similarity: str = "dot", prompts: dict[str, str] | None = None, length: int = 24
) -> tuple[SentenceTransformer, str]:
    """Make their model over the tiny BERT, save it as they do, and load it again."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(1)
    network = modules.Transformer(str(folder()), max_seq_length=length)
    made = SentenceTransformer(
        modules=[network, modules.Pooling(WIDTH, pooling), *behind],
        prompts=prompts,
        device="cpu",
        similarity_fn_name=similarity,
    )
    out = tempfile.mkdtemp(prefix="folder-")
    made.save(out)
    return SentenceTransformer(out, device="cpu", model_kwargs={"attn_implementation": "eager"}), out


def ours(path: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What `encoder=transformer encoder.model=FOLDER` makes of queries and documents, all else from the folder."""
    recipe = classes.build(composed("encoder=transformer", f"encoder.model={path}").encoder).resolved()
    columns = [Texts.of([str(i) for i in range(len(rows))], rows) for rows in (QUERIES + LONG, DOCUMENTS + LONG)]
    tokenizer = recipe.tokenizer(columns[1])
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    data = RetrievalData("texts", columns[1], columns[0], {})
    model = Model.over(data, towers, recipe, tokenizer, "32-true", Path(tempfile.mkdtemp()))
    return tuple(
        embed_table(model.towers, table, side, "32-true", side)
        for table, side in ((model.queries, QUERY), (model.docs, DOCUMENT))
    )


def row(what: str, made: Any, note: str = "") -> Row:
    """Compare every component of every text."""
    model, path = made
    how = {"normalize_embeddings": model.similarity_fn_name == "cosine"}
    theirs = (model.encode_query(QUERIES + LONG, **how), model.encode_document(DOCUMENTS + LONG, **how))
    apart = [
        float((mine - torch.from_numpy(other)).abs().max()) for mine, other in zip(ours(path), theirs, strict=True)
    ]
    count = sum(other.size for other in theirs)
    return Row(
        PEER,
        named(PEER),
        f"embeddings of a folder: {what}",
        "encoder=transformer encoder.model=FOLDER",
        count,
        max(apart),
        None,
        note,
        FLOAT32,
    )


PROMPTS = {"query": "w1 w2 ", "document": "w3 "}
ROWS_OF_TABLE = [
    lambda: row("mean pooling, dot products", saved("mean")),
    lambda: row(
        "mean pooling, no Normalize, similarity cosine",
        saved("mean", similarity="cosine"),
        "our vectors are unit vectors wherever scores are cosines; theirs are here with normalize_embeddings",
    ),
    lambda: row("mean pooling, unit vectors", saved("mean", modules.Normalize())),
    lambda: row("CLS, unit vectors", saved("cls", modules.Normalize())),
    lambda: row("last token, unit vectors", saved("lasttoken", modules.Normalize())),
    lambda: row(
        "mean pooling, Dense (tanh), unit vectors", saved("mean", modules.Dense(WIDTH, 8), modules.Normalize())
    ),
    lambda: row(
        "CLS, two Dense without bias, dot products",
        saved(
            "cls",
            modules.Dense(WIDTH, 24, bias=False, activation_function=torch.nn.Identity()),
            modules.Dense(24, 8, bias=False, activation_function=torch.nn.GELU()),
        ),
    ),
    lambda: row("prompts of both sides", saved("mean", modules.Normalize(), prompts=PROMPTS)),
    lambda: row("at most 6 tokens", saved("mean", modules.Normalize(), length=6)),
]

if __name__ == "__main__":
    write(ROWS_OF_TABLE)
