"""Settings for the data sets of a mix that cannot work, seen in the config alone."""

from __future__ import annotations

from typing import Any

from hardneg.errors import ConfigError
from hardneg.training.blended_batches import corrected_for_one_set


def check_sets_named(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for sets that do not exist, sets that no loss reads, and numbers for no source."""
    data = node["data"] or {}
    there = list(data.get("sets") or {})
    chosen = {name: loss["sets"] for name, loss in (node["loss"] or {}).items() if (loss or {}).get("sets")}
    for name, asked in chosen.items():
        if isinstance(asked, list) and (unknown := sorted(set(map(str, asked)) - set(there))):
            known = f"none of data.sets ({', '.join(there)})" if there else "and there are no sets but with data=mix"
            raise ConfigError(f"loss.{name}.sets names {', '.join(unknown)}, {known}")
    # A value that is not a list is refused by the loss itself.
    lists = [asked for asked in chosen.values() if isinstance(asked, list)]
    read = {one for asked in lists for one in asked}
    if node["loss"] and len(lists) == len(node["loss"]) and (left := [one for one in there if one not in read]):
        raise ConfigError(
            f"no loss reads {', '.join(left)} of data.sets: name it in the sets of one of loss=[{','.join(chosen)}],"
            " or leave its sets at null for all"
        )
    check_logq_in_blended(node)
    if (node.get("batches") or {}).get("clusters"):
        check_topics(node)
    numbers = data.get("k")
    check_numbers_of_sets(node, numbers if isinstance(numbers, dict) else {})  # anything else the mix itself refuses


def check_logq_in_blended(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a correction that counts on batches of one set, where they are of several."""
    if (node["data"] or {}).get("batches") == "blended" and (name := corrected_for_one_set(node)) is not None:
        raise ConfigError(
            f"negatives.{name}.logq=true corrects for how often a document comes in batches of one set; set"
            " data.batches=same_set, or logq to false"
        )


def check_topics(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a correction that counts on batches of any topic."""
    for name, source in node["negatives"].items():
        if (source or {}).get("logq"):
            raise ConfigError(
                f"negatives.{name}.logq=true corrects for how often a document comes in batches of any topic; set"
                " batches.clusters=null, or logq to false"
            )


def check_numbers_of_sets(node: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Raise `ConfigError` for `data.k` of a source that draws nothing here, or whose number a curriculum changes."""
    drawn = [name for name, source in node["negatives"].items() if "k" in (source or {})]
    shared = ((node.get("curriculum") or {}).get("share")) or {}
    for name, of_sources in numbers.items():
        for source in of_sources if isinstance(of_sources, dict) else ():
            if source not in drawn:
                raise ConfigError(
                    f"data.k.{name}.{source}: there is no such source of drawn negatives; there are"
                    f" {', '.join(drawn) or 'none'}"
                )
            if source in shared:
                raise ConfigError(f"data.k.{name}.{source} and curriculum.share.{source} both say how many; take one")
