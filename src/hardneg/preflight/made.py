"""The parts that a config describes, made once for all checks that look at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hardneg.config import classes
from hardneg.negatives.curriculum import Curriculum

ALONE: tuple[str, ...] = ("data", "encoder", "schedule", "search", "index")  # keys of one part each


@dataclass(frozen=True)
class Made:
    """The parts of a config: each group is made when a check first asks for it, so that what fails first is told.

    Raises `ConfigError` for what a class refuses.
    """

    node: dict[str, Any]

    @cached_property
    def alone(self) -> dict[str, Any]:
        """Those that are one of a kind, by key."""
        return {key: classes.build(self.node[key]) for key in ALONE if key in self.node}

    @cached_property
    def sources(self) -> dict[str, Any]:
        """The sources of negatives, by name, as the other groups are."""
        return classes.build_group(self.node["negatives"], "negatives")

    @cached_property
    def filters(self) -> dict[str, Any]:
        """The filters."""
        return classes.build_group(self.node["filter"], "filter")

    @cached_property
    def losses(self) -> dict[str, Any]:
        """The losses."""
        return classes.build_group(self.node["loss"], "loss")

    @cached_property
    def callbacks(self) -> dict[str, Any]:
        """The callbacks that the config adds."""
        return classes.build_group(self.node.get("callbacks"), "callbacks")

    @cached_property
    def curriculum(self) -> Curriculum | None:
        """The curriculum, if there is one."""
        return classes.build(self.node["curriculum"]) if self.node["curriculum"] else None
