"""The data set and the encoder that the words of a command line name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from hardneg.config import classes, composition
from hardneg.config.command_words import key_of
from hardneg.data.tables import RetrievalData
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import DataError

SHARES = ("dev_share", "test_share")
GENERATED = ("hardneg.data.toy.", "hardneg.data.pydocs.", "hardneg.data.interactions.")  # they draw splits themselves


@dataclass(frozen=True)
class OpenedSet:
    """A data set as its files have it (no query held out, bad rows left out), and its name.

    `first_bad` is what the reader says of the first row that it cannot read; None where it reads all. `settings` are
    those of the reader, `split` names the splits by what they are for, `chosen` is the encoder's name.
    """

    data: RetrievalData
    recipe: EncoderRecipe
    words: tuple[str, ...]
    settings: dict[str, Any]
    split: dict[str, str | list[str] | None]
    chosen: str
    first_bad: str | None = None

    @property
    def holds_out(self) -> bool:
        """Whether the reader can hold queries out of train where dev or test is missing."""
        return not self.settings["_target_"].startswith(GENERATED) and all(
            key in self.settings for key in (*SHARES, "split_seed")
        )


def read(words: Sequence[str]) -> OpenedSet:
    """Compose what `hardneg train` would of these words, and read its data.

    Raises `ConfigError` for words that name no data, `DataError` for files that cannot be read at all.
    """
    node, chosen = _composed(words)
    settings, given = node["data"], {key_of(word) for word in words}
    if not settings["_target_"].startswith(GENERATED):
        settings |= {key: 0.0 for key in SHARES if key in settings and f"data.{key}" not in given}
    recipe = classes.build(node["encoder"])
    data, first_bad = _load(settings)
    return OpenedSet(data, recipe, tuple(words), settings, node["split"], chosen, first_bad)


def _composed(words: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return data, encoder and split as plain values, and the name of the encoder that was chosen."""
    with composition.composing("train"):
        cfg = composition.compose("train", list(words))
        composition.check_given(cfg, ("data.", "encoder."))
        keys = ("data", "encoder", "split")
        node = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in keys}
    by_word = [word.partition("=")[2] for word in words if key_of(word) == "encoder"]
    return node, by_word[-1] if by_word else "static"


def _load(settings: dict[str, Any]) -> tuple[RetrievalData, str | None]:
    """Read the data without the rows that cannot be read; keep what is wrong with the first of these."""
    try:
        return classes.build(settings).load(), None
    except DataError as error:
        if settings.get("on_error") != "raise":
            raise
        try:
            return classes.build(settings | {"on_error": "skip"}).load(), str(error)
        except DataError:
            raise error from None
