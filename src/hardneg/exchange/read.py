"""Reading a sentence-transformers folder as an encoder of ours."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers
from torch import Tensor

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.checkpoint import Trained
from hardneg.encoders.static import Static, StaticTower
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.encoders.transformer import Transformer
from hardneg.errors import ConfigError
from hardneg.exchange import layout

log = logging.getLogger(__name__)

UNCUT = 1_000_000  # tokens; the longest length of a folder that sets none
PROMPTS = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}  # where encode_query and _document look


@dataclass(frozen=True)
class Chain:
    """The modules of one side, in our terms; `lengths` are the longest of queries and of documents."""

    recipe: EncoderRecipe
    tower: Tower
    tokenizer: Tokenizer
    lengths: Mapping[str, int]


def read(folder: Path) -> Trained:
    """Load a transformer with mean, cls or last pooling, or a static embedding, or two of a kind behind a `Router`.

    Raises `ConfigError` for a folder that is none of sentence-transformers', and for what we do not have: other
    modules (Dense, ...), other poolings, prompts left out of the pooling, similarities other than cosine and dot.
    """
    modules = _json(folder / layout.MODULES)
    if not isinstance(modules, list):
        raise ConfigError(f"{folder} is no sentence-transformers folder: it has no {layout.MODULES}")
    settings = {"name": folder.name, **(_json(folder / layout.SETTINGS) or {})}
    listed = [(str(module["type"]), folder / module["path"]) for module in modules]
    if _name(listed[0][0]) in ("Router", "Asym"):
        routes = _routes(listed, folder)
        chains = {side: _chain([*routes[side], *listed[1:]], settings) for side in (QUERY, DOCUMENT)}
    else:
        chains = dict.fromkeys((QUERY, DOCUMENT), _chain(listed, settings))
    return _joined(folder, chains, settings)


def node(recipe: Any) -> dict[str, Any]:
    """Describe a recipe, and the recipes in it, as the config would, for the checkpoint's card."""
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    inner = {key: node(value) if dataclasses.is_dataclass(value) else value for key, value in values.items()}
    return {"_target_": f"{type(recipe).__module__}.{type(recipe).__name__}", **inner}


def _joined(folder: Path, chains: Mapping[str, Chain], settings: Mapping[str, Any]) -> Trained:
    query, document = chains[QUERY], chains[DOCUMENT]
    plain = {key: value for key, value in dataclasses.asdict(query.recipe).items() if key not in (QUERY, DOCUMENT)}
    other = {key: value for key, value in dataclasses.asdict(document.recipe).items() if key in plain}
    if type(query.recipe) is not type(document.recipe) or plain != other or not _alike(query, document):
        raise ConfigError(f"{folder}: its two towers differ in kind, pooling or tokenizer; both must be alike here")
    sides = {side: Side(_prompt(settings, side), chains[side].lengths[side]) for side in chains}
    separate = not _same(query.tower.state_dict(), document.tower.state_dict())
    recipe = dataclasses.replace(query.recipe, separate=separate, query=sides[QUERY], document=sides[DOCUMENT])
    towers = Towers(recipe, query.tower)
    if separate:
        towers.towers[DOCUMENT] = document.tower
    return Trained(recipe, query.tokenizer, towers.eval())


def _alike(query: Chain, document: Chain) -> bool:
    """Whether two chains read the same tokens, with towers of one shape."""
    shapes = [{name: value.shape for name, value in one.tower.state_dict().items()} for one in (query, document)]
    return query.tokenizer.to_str() == document.tokenizer.to_str() and shapes[0] == shapes[1]


def _same(first: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in first.items())


def _chain(modules: Sequence[tuple[str, Path]], settings: Mapping[str, Any]) -> Chain:
    names = [_name(module) for module, _ in modules]
    for name, (module, path) in zip(names, modules, strict=True):
        if layout.TYPES.get(name) is None or name == "Router" or not module.startswith("sentence_transformers."):
            raise ConfigError(
                f"{path}: hardneg has no module like {module}; it reads a Transformer with Pooling, or a"
                " StaticEmbedding, and Normalize"
            )
    name, normalize = settings["name"], _normalizes(names, settings, modules[0][1])
    if names[:2] == ["Transformer", "Pooling"] and set(names[2:]) <= {"Normalize"}:
        recipe = Transformer(model=name, pooling=_pooling(modules[1][1], settings), normalize=normalize)
        return _transformer(modules[0][1], recipe)
    if names[:1] == ["StaticEmbedding"] and set(names[1:]) <= {"Normalize"}:
        return _static(modules[0][1], Static(init=name, normalize=normalize))
    raise ConfigError(f"{modules[0][1]}: hardneg cannot run the modules {', '.join(names)} in this order")


def _normalizes(names: Sequence[str], settings: Mapping[str, Any], where: Path) -> bool:
    """Whether scores are cosines: it normalises, or its similarity does (which is cosine where it says nothing)."""
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "dot"):
        raise ConfigError(f"{where}: its similarity is {similarity}; hardneg scores by cosine or dot product")
    return "Normalize" in names or similarity == "cosine"


def _transformer(folder: Path, recipe: Transformer) -> Chain:
    about = _json(folder / layout.TRANSFORMER) or {}
    here = dataclasses.replace(recipe, model=str(folder))
    tokenizer = here.tokenizer(Texts.of([], []))
    if about.get("do_lower_case") and not _lowers(tokenizer):
        before = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])  # type: ignore[assignment]
    tower = here.build(tokenizer)
    longest = about.get("max_seq_length") or _model_length(folder, tower)
    lengths = {side: about.get(f"{side}_length") or longest for side in (QUERY, DOCUMENT)}
    return Chain(recipe, tower, tokenizer, lengths)


def _lowers(tokenizer: Tokenizer) -> bool:
    return tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"


def _model_length(folder: Path, tower: Tower) -> int:
    """What sentence-transformers cuts at where the folder does not say: the tokenizer's limit or the positions."""
    said = (_json(folder / "tokenizer_config.json") or {}).get("model_max_length") or UNCUT
    positions = getattr(tower.model.config, "max_position_embeddings", None)  # type: ignore[union-attr]
    return int(min(said, UNCUT, positions if positions and positions > 0 else UNCUT))


def _pooling(folder: Path, settings: Mapping[str, Any]) -> str:
    about = _json(folder / "config.json") or {}
    modes = about.get("pooling_mode") or [mode for mode, flag in layout.POOLING_FLAGS.items() if about.get(flag)]
    modes = [modes] if isinstance(modes, str) else list(modes or ["mean"])
    ours = {mode: name for name, mode in layout.POOLING_MODES.items()}
    if len(modes) != 1 or modes[0] not in ours:
        raise ConfigError(f"{folder}: it pools by {' + '.join(modes)}; hardneg has {', '.join(ours)}")
    if not about.get("include_prompt", True) and any(_prompt(settings, side) for side in (QUERY, DOCUMENT)):
        raise ConfigError(f"{folder}: it leaves the prompt out of the pooling (include_prompt), which hardneg cannot")
    return ours[modes[0]]


def _static(folder: Path, recipe: Static) -> Chain:
    from safetensors.torch import load_file

    if not (folder / layout.WEIGHTS).is_file():
        raise ConfigError(f"{folder} has no {layout.WEIGHTS}; save the model anew with sentence-transformers")
    weights = load_file(folder / layout.WEIGHTS)
    table = weights.pop("embedding.weight", weights.pop("embeddings", None))  # the second is model2vec's name
    if table is None or weights:
        raise ConfigError(
            f"{folder / layout.WEIGHTS}: more or less than one table of embeddings ({', '.join(weights)})"
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    longest = tokenizer.truncation["max_length"] if tokenizer.truncation else UNCUT
    tokenizer.no_truncation()
    tokenizer.post_processor = None  # type: ignore[assignment]
    tower = StaticTower(len(table), table.shape[1], recipe.normalize)
    tower.embedding.weight.data.copy_(table)
    return Chain(recipe, tower, tokenizer, dict.fromkeys((QUERY, DOCUMENT), longest))


def _routes(listed: Sequence[tuple[str, Path]], folder: Path) -> dict[str, list[tuple[str, Path]]]:
    router = _json(listed[0][1] / layout.ROUTER) or {}
    routes = router.get("structure", {})
    if not {QUERY, DOCUMENT} <= set(routes):
        raise ConfigError(f"{folder}: its Router has the routes {', '.join(routes) or 'none'}, not query and document")
    types = router["types"]
    return {side: [(types[name], listed[0][1] / name) for name in routes[side]] for side in (QUERY, DOCUMENT)}


def _prompt(settings: Mapping[str, Any], side: str) -> str:
    prompts = settings.get("prompts") or {}
    found = [prompts[name] for name in PROMPTS[side] if prompts.get(name) is not None]
    return found[0] if found else prompts.get(settings.get("default_prompt_name") or "", "")


def _name(module: str) -> str:
    return module.rsplit(".", 1)[-1]


def _json(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON ({error})") from error
