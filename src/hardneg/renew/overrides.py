"""The words of a renewal: which may be given, and which they leave of those that the index was made with."""

from __future__ import annotations

from collections.abc import Sequence

from hardneg.config.command_words import is_data, key_of
from hardneg.errors import ConfigError
from hardneg.serving.builds import Build

GIVEN = ("encoder", "init_from", "from_index", "ckpt_path", "stages")  # by the plan itself
OF_INDEX = ("switch", "keep", "rebuild", "shard", "width", "index")


def check(words: Sequence[str]) -> None:
    """Raise `ConfigError` for what is not a word of `hardneg train`, and for what the plan sets itself."""
    for word in words:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            raise ConfigError(f"{word}: give words of hardneg train, such as data.path=DIR or trainer.max_epochs=2")
        key = key_of(word)
        if key in GIVEN or key.startswith("hydra."):
            raise ConfigError(f"{word}: hardneg renew gives {key} itself; leave it out")
        if key.split(".")[0] in OF_INDEX:
            raise ConfigError(
                f"{word}: is a word of hardneg index; the new build is made as the live one was, and --switch switches"
            )


def index_words(live: Build, words: Sequence[str]) -> list[str]:
    """The words of the command that made an index, with other data: a choice of `data` takes away all there was."""
    keys = {key_of(word) for word in words}
    before = list(live.manifest.source.get("words") or ())
    return [word for word in before if not (is_data(word) and ("data" in keys or key_of(word) in keys))] + list(words)
