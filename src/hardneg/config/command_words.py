"""Words of a command line, KEY=VALUE: quoted where Hydra or a shell would read them otherwise, and only there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

BARE = re.compile(r"[A-Za-z0-9_./+-]+")  # what may stand without quotes, also within a list or a dictionary
# Groups of which several options are chosen, as a list: negatives=[in_batch,bm25]. Each option has a key of its own.
MULTI_SELECT = ("negatives", "loss", "filter", "pairs", "callbacks", "logger")


def key_of(word: str) -> str:
    """The key that a word of the command line sets."""
    return word.lstrip("+~").partition("=")[0]


def is_data(word: str) -> bool:
    """Whether a word is about the data set: data=..., data.path=..., +data@..."""
    return key_of(word).split(".")[0].split("@")[0] == "data"


def quoted(value: object) -> str:
    """A value for a word of the command line, as Hydra reads it: whatever a path contains, it stays one value."""
    # Within quotes a backslash counts only before a quote and at the end, where each stands for two.
    text = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), str(value))
    return f"'{text}'"


def value_of(text: str) -> Any:
    """What Hydra reads a bare text as, such as a number, true or null; the text itself where it is nothing else."""
    try:
        return OverridesParser.create().parse_override(f"_={text}").value()
    except HydraException:  # without quotes it has no meaning, as a lone bracket
        return text


def as_value(value: object) -> str:
    """A text for a word of the command line, quoted only where Hydra reads the bare one otherwise, as 10 or null."""
    text = str(value)
    if BARE.fullmatch(text) and value_of(text) == text:
        return text
    return quoted(text)


def plain(word: str) -> str:
    """Take away the quotes of a value that means the same without them."""
    key, equals, value = word.partition("=")
    bare = value[1:-1] if len(value) > 2 and value[0] == value[-1] == "'" else value
    return f"{key}{equals}{bare}" if as_value(bare) == bare else word


def to_type(key: str, value: object) -> str:
    """A word KEY=VALUE as it is typed at a shell: what a message says of a path can be pasted, whatever is in it."""
    return in_shell([f"{key}={as_value(value)}"])


def command_named(config_name: object) -> str:
    """The command whose config has this name, as it is typed: `train-teacher` of train_teacher."""
    return str(config_name).replace("_", "-")


def command_line(*words: object) -> str:
    """A command of hardneg's as it is typed at a shell, `hardneg resume FOLDER`, for messages that say what to do."""
    return in_shell(["hardneg", *map(str, words)])


def in_shell(words: Iterable[str]) -> str:
    """Join words to a line for a shell; one that holds single quotes stays readable where double ones will do."""
    return " ".join(f'"{w}"' if "'" in w and not set(w) & set('"$`\\!') else shlex.quote(w) for w in words)
