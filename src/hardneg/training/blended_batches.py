"""What cannot be combined with batches of several data sets (`data.batches=blended`), to refuse or not to advise it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from hardneg.config import classes


def may_blend(cfg: DictConfig) -> bool:
    """Whether this config would be let through with `data.batches=blended`."""
    node = {key: classes.plain(cfg.get(key)) for key in ("negatives", "loss", "filter")}
    if corrected_for_one_set(node) is not None:
        return False
    return reverse_across_sets(node, classes.build_group(node["loss"], "loss")) is None


def corrected_for_one_set(node: Mapping[str, Any]) -> str | None:
    """Name the source whose correction counts on batches of one set; None if there is none."""
    sources = (node.get("negatives") or {}).items()
    return next((name for name, source in sources if (source or {}).get("logq")), None)


def reverse_across_sets(node: Mapping[str, Any], losses: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name a symmetric loss and a filter that keeps sets apart, but not its other direction; None without both."""
    from hardneg.filters.same_set import SameSet  # torch, which the check of a config's words does without

    symmetric = [name for name, loss in losses.items() if loss.needs_reverse]
    rules = classes.build_group(node.get("filter"), "filter") if symmetric else {}
    apart = [name for name, rule in rules.items() if isinstance(rule, SameSet)]
    return (symmetric[0], apart[0]) if apart else None
