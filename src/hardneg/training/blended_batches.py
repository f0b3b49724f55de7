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
    losses, filters = (classes.build_group(node[group], group) for group in ("loss", "filter"))
    return reverse_across_sets(losses, filters) is None


def corrected_for_one_set(node: Mapping[str, Any]) -> str | None:
    """Name the source whose correction counts on batches of one set; None if there is none."""
    sources = (node.get("negatives") or {}).items()
    return next((name for name, source in sources if (source or {}).get("logq")), None)


def reverse_across_sets(losses: Mapping[str, Any], filters: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name a symmetric loss and a filter that keeps sets apart, but not its other direction; None without both."""
    from hardneg.filters.same_set import SameSet  # torch, which the check of a config's words does without

    symmetric = [name for name, loss in losses.items() if loss.needs_reverse]
    apart = [name for name, rule in filters.items() if isinstance(rule, SameSet)]
    return (symmetric[0], apart[0]) if symmetric and apart else None
