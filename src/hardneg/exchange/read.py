"""Reading a sentence-transformers or model2vec folder as a hardneg encoder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hardneg.data.tables import Texts
from hardneg.data.tokens import UNCUT, Side
from hardneg.encoders import sentence_transformers_names as names
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.checkpoint import TRUST, Trained, reading
from hardneg.encoders.dense_layers import load_dense
from hardneg.encoders.file_hashes import check_hashes
from hardneg.encoders.folder_json import read_json
from hardneg.encoders.model_folder import lower, positions_of
from hardneg.encoders.sentence_transformers_folder import ModuleChain
from hardneg.encoders.static import Static, StaticTower, stand_in
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.exchange.importable import unknown
from hardneg.exchange.model2vec import TOKENIZER, folded, is_model2vec, read_model2vec, read_tokenizer, tensors_of


@dataclass(frozen=True)
class Chain:
    """The modules of one side, in our terms; `lengths` are the maximum lengths of queries and of documents."""

    recipe: EncoderRecipe
    tower: Tower
    tokenizer: Tokenizer
    lengths: Mapping[str, int]


def read(folder: Path) -> Trained:
    """Load a transformer with its pooling, a static embedding, or two of the same kind behind a `Router`.

    `Dense` layers after the pooling are included. A folder saved by model2vec gives the same vectors as model2vec (see
    `exchange.model2vec`). Raises `ConfigError` for a folder that is none of these or is damaged, and for what hardneg
    does not support: other modules, other poolings, similarities other than cosine and dot.
    """
    if is_model2vec(folder):
        check_hashes(folder)
        return _of_model2vec(folder)
    chain = ModuleChain.read(folder)
    if chain is None:
        raise unknown(folder)
    check_hashes(folder)
    chain.warn_of_width()
    for side in (QUERY, DOCUMENT):
        chain.prompts.warn(side)
    if chain.routes:
        routes = _routes(chain)
        chains = {side: _chain(routes[side]) for side in (QUERY, DOCUMENT)}
    else:
        chains = dict.fromkeys((QUERY, DOCUMENT), _chain(chain))
    return _joined(folder, chains, chain)


def _joined(folder: Path, chains: Mapping[str, Chain], modules: ModuleChain) -> Trained:
    query, document = chains[QUERY], chains[DOCUMENT]
    plain = dataclasses.asdict(query.recipe)
    plain = {key: value for key, value in plain.items() if key not in (QUERY, DOCUMENT, "model")}
    other = {key: value for key, value in dataclasses.asdict(document.recipe).items() if key in plain}
    if type(query.recipe) is not type(document.recipe) or plain != other or not _alike(query, document):
        raise ConfigError(
            f"{folder}: its two towers differ in kind, pooling or tokenizer; hardneg needs these to match"
        )
    sides = {side: Side(modules.prompts.of(side), chains[side].lengths[side]) for side in chains}
    separate = not _same(query.tower.state_dict(), document.tower.state_dict())
    recipe = dataclasses.replace(query.recipe, separate=separate, query=sides[QUERY], document=sides[DOCUMENT])
    towers = Towers(recipe, query.tower)
    if separate:
        towers.towers[DOCUMENT] = document.tower
    return Trained(recipe, query.tokenizer, towers.eval())


def _alike(query: Chain, document: Chain) -> bool:
    """Whether two chains read the same tokens, with towers of one shape."""
    shapes = [{name: value.shape for name, value in one.tower.state_dict().items()} for one in (query, document)]
    # A tokenizer that was used is saved with the length that it cut at, which the towers may have one each of.
    reads = [reading(one.tokenizer.to_str()) for one in (query, document)]
    return reads[0] == reads[1] and shapes[0] == shapes[1]


def _same(first: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in first.items())


def _chain(modules: ModuleChain) -> Chain:
    modules.check()
    name, normalize = modules.settings["name"], modules.normalizes()
    if modules.names[0] == "StaticEmbedding":
        return _static(modules.first.folder, Static(init=name, normalize=normalize))
    return _transformer(modules, name, normalize)


def _transformer(modules: ModuleChain, name: str, normalize: bool) -> Chain:
    dense = modules.dense()
    brought = "auto_map" in (read_json(modules.first.folder / "config.json") or {})
    recipe = Transformer(
        model=str(modules.first.folder),
        trust_remote_code=brought and bool(os.environ.get(TRUST)),
        pooling=modules.pooling(),
        include_prompt=modules.include_prompt(),
        dense=(),
        normalize=normalize,
        query=Side(),
        document=Side(),
    )
    tokenizer = recipe.tokenizer(Texts.of([], []))
    if modules.first.lowers:
        lower(tokenizer)
    tower = recipe.build(tokenizer)
    tower.project(dense)
    load_dense(tower.dense, modules.dense_folders())
    positions = positions_of(tower.model.config.to_dict())  # type: ignore[union-attr, operator]
    lengths = {side: min(modules.first.max_length(side), positions or UNCUT) for side in (QUERY, DOCUMENT)}
    kept = recipe.model if recipe.trust_remote_code else name  # where the code is read from again
    return Chain(dataclasses.replace(recipe, model=kept, dense=dense), tower, tokenizer, lengths)


def _static(folder: Path, recipe: Static) -> Chain:
    for name in (names.WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} has no {name}; save it again with sentence-transformers")
    path = folder / names.WEIGHTS
    weights = tensors_of(path)
    if (table := weights.pop("embedding.weight", None)) is None:
        table = folded(path, weights)  # written by model2vec, and read as sentence-transformers does
    elif weights:
        raise ConfigError(f"{path}: more than one table of embeddings ({', '.join(weights)})")
    tokenizer = read_tokenizer(folder / TOKENIZER)
    longest = tokenizer.truncation["max_length"] if tokenizer.truncation else UNCUT
    return _table(recipe, table, tokenizer, longest)


def _of_model2vec(folder: Path) -> Trained:
    """Read a model2vec folder as an encoder without prompts, the same for queries and documents."""
    found = read_model2vec(folder)
    recipe = Static(init=folder.name, normalize=found.normalize)
    chain = _table(recipe, found.table, found.tokenizer, found.longest, found.unknown)
    sides = {side: Side(max_length=length) for side, length in chain.lengths.items()}
    told = dataclasses.replace(chain.recipe, query=sides[QUERY], document=sides[DOCUMENT])
    return Trained(told, chain.tokenizer, Towers(told, chain.tower).eval())


def _table(recipe: Static, table: Tensor, tokenizer: Tokenizer, longest: int, unknown: int | None = None) -> Chain:
    """A tower over a table; the `unknown` token, if given, is left out of every vector."""
    tokenizer.no_truncation()
    tokenizer.post_processor = None  # type: ignore[assignment]
    if unknown is not None:
        table = table.clone()
        table[unknown] = 0  # so that it does not change a vector's direction
    left_out = None if recipe.unit_vectors else unknown
    tower = StaticTower(len(table), table.shape[1], recipe.unit_vectors, stand_in(tokenizer), left_out)
    tower.embedding.weight.data.copy_(table)
    recipe = dataclasses.replace(recipe, dim=table.shape[1])
    return Chain(recipe, tower, tokenizer, dict.fromkeys((QUERY, DOCUMENT), longest))


def _routes(modules: ModuleChain) -> dict[str, ModuleChain]:
    """The modules of each side, including those after the router."""
    place = modules.first.folder
    router = read_json(place / names.ROUTER) or read_json(place / names.ROUTER_OF_OLD) or {}
    routes = router.get("structure", {})
    if not {QUERY, DOCUMENT} <= set(routes):
        raise ConfigError(
            f"{modules.folder}: its {modules.names[0]} has the routes {', '.join(routes) or 'none'}, not query and"
            " document"
        )
    types = router["types"]
    return {
        side: dataclasses.replace(
            modules, modules=(*((types[name], place / name) for name in routes[side]), *modules.modules[1:])
        )
        for side in (QUERY, DOCUMENT)
    }
