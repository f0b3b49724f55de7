"""Configs as they were before some keys existed, so that a run whose settings mean the same keeps its identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

AUTO = "auto"
TRANSFORMER = "hardneg.encoders.transformer.Transformer"
ENCODERS = (TRANSFORMER, "hardneg.encoders.static.Static", "hardneg.encoders.features.Features")
TEACHER = "CrossEncoderTeacher"
MINILM = "minilm"  # its folder is known: it averages, without prompts or layers, to unit vectors; at most 256 tokens
CROSS_ENCODERS = ("PairRecipe", TEACHER)
# Newer keys, with the value under which a run is what it was without them.
ABSENT: dict[str, Any] = {
    "revision": None,
    "trust_remote_code": False,
    "dense": None,
    "unpad": False,
    "include_prompt": AUTO,
}
# What `auto` means where a model's folder says nothing: the defaults of these keys before they could be `auto`.
BEFORE = {"pooling": "mean", "normalize": True, "dense": None}
SIDES: dict[str, dict[str, Any]] = {
    "query": {"prompt": "", "max_length": 64},
    "document": {"prompt": "", "max_length": 128},
}
PAIR_LENGTH = 256


ROLES = ("query", "positive", "negative", "score", "prompt")  # of a table's columns, by name
# Newer keys by class, with the values that were implied before.
LATER: dict[str, dict[str, Any]] = {
    "hardneg.data.readers.beir.Beir": {
        **{"own_documents": "leave_out", "relevant_from": None},
        **{"dev_share": 0.0, "test_share": 0.0, "split_seed": 0},
    },
    "hardneg.data.readers.hub.Hub": {
        **{"own_documents": "leave_out", "relevant_from": None},
        **{"split_seed": 0, "columns": dict.fromkeys(ROLES), "positive_from": None},
        **{"subset": None, "revision": None},
    },
    "hardneg.data.readers.table.Table": {"config": None, "split": "train", "revision": None},
    "hardneg.data.readers.jsonl.Jsonl": {"split_seed": 0},
    "hardneg.mining.bm25.BM25": {"tokens": "auto"},
    "hardneg.negatives.in_batch.InBatch": {"teacher": None},
    "hardneg.negatives.blocks.Blocks": {"hard": False, "own": False},
    "hardneg.negatives.stored.Stored": {
        "swap": {
            "_target_": "hardneg.negatives.swap.Swap",
            **{"every_n_steps": None, "ratio": 1.15, "ceiling": 0.8, "floor": None},
        }
    },
    "hardneg.training.schedule.WarmupStableDecay": {"decay_steps": None},
    "hardneg.data.mix.Mix": {"batches": "same_set", "k": {}},
    **{
        f"hardneg.losses.{path}": {"sources": None, "sets": None}
        for path in ("triplet.Triplet", "ranknet.RankNet", "margin_mse.MarginMSE", "kl.KL", "bce.BCE")
    },
    "hardneg.losses.infonce.InfoNCE": {"sources": None, "sets": None, "several": "each", "focal": 0.0},
}
# Likewise for the whole config.
LATER_KEYS: dict[str, Any] = {
    "trainer.compile": False,
    "pairs": {},
    "batches": None,
    "evaluate.every_n_steps": None,
    "evaluate.documents": "all",
    **{"evaluate.subset.bm25": 100, "evaluate.subset.model": 100},
    **{"evaluate.subset.size": 10_000, "evaluate.subset.seed": 0},
    **{"optimizer.groups": None, "optimizer.layer_decay": None},
}
# Keys whose default has changed: a resumed run keeps what it was begun with.
CHANGED_DEFAULTS = ("batch_size", "encoder.lr")


def in_earlier_form(node: Any) -> Any:
    """Return plain containers without the keys of `LATER` at those values, and with models described as before `auto`.

    With a model whose folder says something, or on the hub, where that is unknown, `auto` changes the run: there it
    stays, and is added where the config leaves it out.
    """
    if isinstance(node, Mapping):
        target = str(node.get("_target_"))
        silent = LATER.get(target, {})
        inner = {k: in_earlier_form(v) for k, v in node.items() if k not in silent or v != silent[k]}
        if target in ENCODERS:  # what `batch_size=auto` takes: the run's own batch_size is what counts
            inner.pop("batch_size", None)
        if target == TRANSFORMER:
            return _transformer(inner)
        if target.endswith(CROSS_ENCODERS):
            return _cross_encoder(inner)
        return inner
    return [in_earlier_form(item) for item in node] if isinstance(node, list | tuple) else node


def _transformer(node: dict[str, Any]) -> dict[str, Any]:
    if says_nothing(node.get("model")):
        out = _settled(node)
    elif node.get("model") == MINILM:
        lengths = {side: {"max_length": AUTO} for side in SIDES if not node.get(side)}
        out = _settled(node, but="max_length") | lengths
    else:
        sides = {side: node.get(side) or dict.fromkeys(keys, AUTO) for side, keys in SIDES.items()}
        # A config with all the earlier keys has no layers after the pooling: there were none then.
        open_keys = [key for key in BEFORE if key != "dense" or "pooling" not in node]
        out = dict.fromkeys(open_keys, AUTO) | node | sides
    return _without_absent(out)


def _settled(node: dict[str, Any], but: str = "") -> dict[str, Any]:
    """The node with what `auto` means where a folder says nothing, in all keys but one."""
    out: dict[str, Any] = {
        key: BEFORE[key] if value == AUTO and key in BEFORE else value for key, value in node.items()
    }
    for side, before in SIDES.items():
        if isinstance(out.get(side), Mapping):
            out[side] = {k: before[k] if v == AUTO and k in before and k != but else v for k, v in out[side].items()}
    return out


def _cross_encoder(node: dict[str, Any]) -> dict[str, Any]:
    if says_nothing(node.get("model")):
        node = {key: PAIR_LENGTH if key == "max_length" and value == AUTO else value for key, value in node.items()}
    elif str(node["_target_"]).endswith(TEACHER):
        node = {"max_length": AUTO} | node
    return _without_absent(node)


def _without_absent(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in ABSENT or value != ABSENT[key]}


def says_nothing(model: Any) -> bool:
    """Whether a model is a folder here that says nothing about how its vectors are made."""
    if not isinstance(model, str) or not Path(model).is_dir():
        return False
    marks = ("modules.json", "config_sentence_transformers.json")
    if any((Path(model) / name).is_file() for name in marks):
        return False
    config = Path(model) / "config.json"
    # A cross-encoder's folder says it in its config.
    return "sentence_transformers" not in config.read_text("utf-8", "replace") if config.is_file() else True
