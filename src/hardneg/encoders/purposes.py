"""What a setting of an encoder's recipe decides, said where the setting is declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from enum import Flag, auto
from typing import Any, TypeVar

T = TypeVar("T")
KEY = "purpose"


class Purpose(Flag):
    """What follows from a setting; without a purpose it affects the embeddings of queries and documents."""

    TRAINING = auto()  # how the towers are trained: no embedding
    START = auto()  # where weights come from, and how many: no embedding once there are weights that fit
    ROUNDING = auto()  # an embedding's last digits alone, with which stored vectors are not exchanged
    QUERIES = auto()  # the queries' embeddings alone
    OPEN = auto()  # may be `auto`, and has a value once there is a tower

    @property
    def metadata(self) -> dict[str, Purpose]:
        """The metadata of a field that has this purpose."""
        return {KEY: self}


def setting(default: T, purpose: Purpose) -> T:
    """Declare a field of a recipe with its default and its purpose, which subclasses inherit."""
    return field(default=default, metadata=purpose.metadata)


def with_purpose(recipe: object, purpose: Purpose) -> set[str]:
    """The settings of a recipe that have one of these purposes, by the recipe's class or one that it comes from."""
    return {
        one.name
        for declaring in type(recipe).__mro__
        if is_dataclass(declaring)
        for one in fields(declaring)
        if _of(one.metadata) & purpose
    }


def _of(metadata: Mapping[str, Any]) -> Purpose:
    return metadata.get(KEY, Purpose(0))
