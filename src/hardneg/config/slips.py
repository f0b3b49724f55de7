"""Error messages for command-line words, with suggestions of what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from hardneg.config.command_words import in_shell, quoted, to_type
from hardneg.config.package_lines import hidden_override
from hardneg.config.refused_arguments import REFUSED
from hardneg.config.studies import own_folder

BEGINNING = 3  # letters from which on a prefix is enough to suggest a word
# Launchers from separate packages: Hydra knows these options only if the packages are installed.
OF_THE_EXTRA_SWEEP = ("joblib", "submitit_local", "submitit_slurm")


def in_plain_words(error: Exception, command: str | None = None) -> str:
    """Reword Hydra's error about a command line; for an unknown key or option, suggest a similar one.

    `command` names the yaml that the words were for; without it the groups of all commands are considered.
    """
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and "not in struct" in str(cause):
        return _unknown_key(str(cause.full_key), cause.parent_node, command)
    option = str(getattr(error, "missing_cfg_file", None))
    if (own_folder() / option / "stages.yaml").exists():
        recipe = option.rsplit("/", 1)[-1]
        return f"{recipe} is a recipe in stages, not one run: hardneg stages {recipe}"
    if isinstance(error, OverrideParseException):
        word = str(error.override)
        if "=" not in word and not word.startswith("~"):
            run = f"; did you mean {to_type('ckpt_path', word)}?" if Path(word).exists() else ""
            return f"{word}: arguments have the form KEY=VALUE{run}"
        quote = "quote values that contain = , [ ] { }, spaces or letters beyond a to z"
        key, _, value = word.partition("=")
        one = value[:1] not in ("[", "{")  # of a list or a dictionary it is an item that needs quotes
        shown = in_shell([f"{key}={quoted(value)}"]) if one else "'data.path=\"a=b\"'"
        said = str(error).splitlines()[0].removeprefix("LexerNoViableAltException: ")
        return f"{said}; {quote}, as in {shown}"
    if isinstance(error, MissingConfigException) and "/" in option:
        group, name = option.rsplit("/", 1)
        return _unknown_option(group, name, error.options or _options(group))
    if (hidden := hidden_override(str(error))) is not None:
        return hidden
    if no_group := re.match(r"Could not override '([^']+)'", str(error)):
        name, known = no_group[1], sorted(_groups(command))
        meant = f"; did you mean {close}?" if (close := near(name, known)) else "."
        return f"there is no group {name}{meant} The groups are {', '.join(known)}"
    lines = [line.strip() for line in str(error).splitlines() if "provider=" not in line]
    return " ".join(filter(None, lines)).removesuffix("Config search path:").strip()


def no_option(words: Sequence[str], error: str) -> str:
    """Name the word that gives a group a value that is not an option, as in `data=3`, or null instead of a list."""
    kind = error.rsplit(" ", 1)[-1]  # Hydra's message has the type of the value, not the word
    values = {"NoneType": ("null",), "bool": ("true", "false")}.get(kind, ())
    groups = {*_groups(None), *_groups(None, multiple=True)}
    for word in words:
        name, equals, value = word.lstrip("+").partition("=")
        if not equals or name.partition("@")[0] not in groups or (values and value.lower() not in values):
            continue
        if value == "null" and name.partition("@")[0] in _groups(None, multiple=True):
            return f"{name}=null: write an empty list as '{name}=[]'"
        if value.lower() in ("null", "true", "false") or _is_number(value):
            group = name.partition("@")[0]
            none = f"; for none, write ~{group}" if value == "null" and None in _chosen(None).get(group, ()) else ""
            return f"{word}: {value} is not an option of {name}; its options are {' '.join(_options(group))}{none}"
    return error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def near(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to a misspelt one, or that starts with it; None if none is similar."""
    known = list(known)
    begins = [one for one in known if len(word) >= BEGINNING and one.startswith(word)]
    return next(iter([*get_close_matches(word, known, n=1), *sorted(begins, key=len)]), None)


def _unknown_key(full: str, node: Any, command: str | None) -> str:
    """Say that a key does not exist, and which keys do."""
    parent, _, key = full.rpartition(".")
    known = {str(name) for name in node or ()}
    if parent == "trainer" and key in REFUSED:
        return f"trainer.{key} has no effect here; {REFUSED[key]}"
    options = [] if not parent else _options(parent)
    multiple = parent in _groups(command, multiple=True)

    def choosing(option: str) -> str:
        word = f"{parent}=[{','.join([*map(str, node or ()), option])}]" if multiple else f"{parent}={option}"
        return f"{option} is not chosen; choose it, as in {word}"

    if key in options:
        return f"there is no key {full}: {choosing(key)}"
    if options and not known:
        choice = f"choose one, as in {parent}={options[0]} (options: {', '.join(options)})"
        return f"there is no key {full}: no {parent} is chosen; {choice}"
    if not parent:
        known = known - {"hydra"} | set(_groups(command))
    close = near(key, [*known, *(options if multiple else ())])
    ending = f"; did you mean {'.'.join(filter(None, (parent, close)))}?" if close else "."
    if close and multiple and close not in known:
        ending += f" {choosing(close)}."
    if not close and not multiple and (others := [option for option in options if key in _keys(parent, option)]):
        ending = f", which is a setting of {parent}={', '.join(others)}."
    return f"there is no key {full}{ending} {parent or 'The config'} has {', '.join(sorted(known))}"


def _unknown_option(group: str, name: str, options: Sequence[str]) -> str:
    if group == "hydra/launcher" and name in OF_THE_EXTRA_SWEEP:
        return f"{group}={name} needs the package of its launcher: pip install 'hardneg[sweep]'"
    close = near(name, options)
    meant = f"; did you mean {close}?" if close else "."
    return f"Could not find '{group}/{name}'{meant} Available options in '{group}': {' '.join(options)}"


def _groups(command: str | None, multiple: bool = False) -> list[str]:
    """The groups of a command, or only those that accept several options."""
    found = _chosen(command)
    return [name for name, several in found.items() if any(map(OmegaConf.is_list, several)) or not multiple]


def _chosen(command: str | None) -> dict[str, list[Any]]:
    """The groups of a command, or of all commands, and the options that their yamls select for each."""
    found: dict[str, list[Any]] = {}
    for path in [own_folder() / f"{command}.yaml"] if command else sorted(own_folder().glob("*.yaml")):
        written: Any = OmegaConf.load(path)
        for item in written.get("defaults", ()):
            for name, chosen in item.items() if isinstance(item, DictConfig) else ():
                if not str(name).startswith("override "):
                    found.setdefault(str(name), []).append(chosen)
    return found


def _options(group: str) -> list[str]:
    """The options of a group, including those of a user's own config folder while Hydra is initialised."""
    place = group.replace(".", "/")
    if GlobalHydra.instance().is_initialized():
        return sorted(GlobalHydra.instance().config_loader().get_group_options(place))
    return sorted(path.stem for path in (own_folder() / place).glob("*.yaml"))


def _keys(group: str, option: str) -> set[str]:
    """The keys in the yaml of a group's option."""
    path = own_folder() / group.replace(".", "/") / f"{option}.yaml"
    return {str(key) for key in OmegaConf.load(path)} if path.is_file() else set()
