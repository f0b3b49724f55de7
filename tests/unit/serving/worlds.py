"""Small corpora and encoders for the tests of serving."""

from __future__ import annotations

import torch

from hardneg.data.tables import RetrievalData, Texts
from hardneg.encoders import checkpoint
from hardneg.encoders.checkpoint import Trained, node
from hardneg.encoders.static import Static
from hardneg.encoders.towers import Towers
from hardneg.serving.backends.faiss import Faiss
from hardneg.serving.backends.lancedb import LanceDB
from hardneg.serving.backends.pgvector import PgVector
from hardneg.serving.backends.qdrant import Qdrant
from hardneg.serving.builder import Builder
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.text_encoder import TextEncoder

STORES = {  # class, settings, the library it needs, and which setting is the address of which server
    "faiss_flat": (Faiss, {"factory": "Flat"}, "faiss", {}),
    "faiss_hnsw": (Faiss, {"factory": "HNSW32"}, "faiss", {}),
    "faiss_ivfpq": (Faiss, {"factory": "IVF*,PQ*"}, "faiss", {}),
    "qdrant": (Qdrant, {}, "qdrant_client", {}),
    "qdrant_url": (Qdrant, {}, "qdrant_client", {"url": "qdrant_url"}),
    "lancedb": (LanceDB, {}, "lancedb", {}),
    "pgvector": (PgVector, {}, "psycopg", {"dsn": "postgres"}),
    "pgvector_hnsw": (PgVector, {"hnsw": True}, "psycopg", {"dsn": "postgres"}),
}


def trained(toy, seed=0, **more):
    """A static encoder of random weights, with the tokenizer of the toy world."""
    recipe = Static(**{"dim": 16, "vocab_size": 300, **more})
    tokenizer = recipe.tokenizer(toy.corpus)
    torch.manual_seed(seed)
    towers = Towers(recipe, recipe.build(tokenizer)).eval()
    return Trained(recipe, tokenizer, towers)


def encoder(toy, seed=0, width=None, **more):
    return TextEncoder(trained(toy, seed, **more), "cpu", "32-true", width)


def saved(made, path):
    """Write a checkpoint that can be loaded."""
    card = checkpoint.card(node(made.recipe), made.recipe, made.tokenizer, made.towers)
    weights = {f"{checkpoint.TOWERS}{name}": value for name, value in made.towers.state_dict().items()}
    torch.save({"state_dict": weights, checkpoint.KEY: card}, path)
    return str(path)


def corpus(toy, keep=lambda row: True, change=lambda row, text: text, more=()):
    """The toy corpus with documents left out, changed and added."""
    rows = [row for row in range(len(toy.corpus)) if keep(row)]
    ids = [*(toy.corpus.ids[row].as_py() for row in rows), *(f"new{number}" for number in range(len(more)))]
    texts = [*(change(row, toy.corpus[row]) for row in rows), *more]
    return RetrievalData("toy", Texts.of(ids, texts), toy.queries, toy.qrels)


def built(root, data, made, backend=None, source=None, switch=True, **more):
    """Build and switch, as `hardneg index` does; returns the build."""
    folder = IndexFolder(root)
    with folder.writing():
        build = Builder(folder, backend or Faiss(str(root)), made, **{"shard": 20, **more}).build(data, source or {})
        if switch:
            folder.switch(build)
    return build
