"""hardneg -sc: completion of words by TAB in bash."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from typing import Any, NoReturn, cast


def command_to_ask(asked: Sequence[str], commands: Collection[str], plain: Collection[str]) -> list[str]:
    """Answer what bash asks at a TAB: names of commands here, and words behind one by the Hydra app that is returned.

    `commands` are all names, `plain` those that are no Hydra apps. Hydra's own script for bash asks so; it knows of no
    command before the words. Ends the process where there is nothing to ask; other shells are refused.
    """
    if list(asked) != ["query=bash"]:
        _register(asked)
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if len(words) < 2 or (len(words) == 2 and not line.endswith(" ")):
        sys.stdout.write(" ".join(name for name in commands if name.startswith("".join(words[1:]))) + "\n")
        raise SystemExit(0)
    command, own = words[1], [words[1]]
    if command not in commands or command in plain:
        raise SystemExit(0)
    if command == "race":  # the words of train, beside its own
        from hardneg.commands.race import OWN_WORDS

        command = "train"
        own += [word for word in words[2:] if word.startswith(OWN_WORDS)]
    for word in own:
        line = line.replace(f" {word}", "", 1)
    os.environ["COMP_LINE"] = line
    return [command, "-sc", *asked]


def _register(asked: Sequence[str]) -> NoReturn:
    """Print what bash evaluates to complete `hardneg`, or to leave that."""
    if list(asked) not in (["install=bash"], ["uninstall=bash"]):
        sys.stderr.write(
            f'hardneg {" ".join(["-sc", *asked])}: only bash completes, by eval "$(hardneg -sc install=bash)"\n'
        )
        raise SystemExit(2)
    from hydra.core.plugins import Plugins
    from hydra.plugins.completion_plugin import CompletionPlugin

    sys.argv[0] = "hardneg"  # what Hydra's script is for: also where Python was given a module
    bash: Any = next(
        one for one in Plugins.instance().discover(CompletionPlugin) if cast(Any, one).provides() == "bash"
    )
    getattr(bash(None), asked[0].removesuffix("=bash"))()
    raise SystemExit(0)
