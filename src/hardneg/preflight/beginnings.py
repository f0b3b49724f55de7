"""A mark for checks that only a run which begins must pass, not one that goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

Rest = ParamSpec("Rest")
Check = Callable[Concatenate[dict[str, Any], Rest], None]


def only_where_it_begins(check: Check[Rest]) -> Check[Rest]:
    """Mark a check of a training's config that is not for a run that goes on.

    Such a run keeps what an earlier version let it begin with. Whatever refuses a config that was once let through,
    and still works, bears this mark.
    """

    @wraps(check)
    def checked(node: dict[str, Any], *args: Rest.args, **kwargs: Rest.kwargs) -> None:
        if not node.get("ckpt_path"):
            check(node, *args, **kwargs)

    return checked
