"""Whether the packages of a logger are installed."""

from __future__ import annotations

from importlib.util import find_spec

from hardneg.errors import ConfigError


def need(logger: str, *packages: str) -> None:
    """Raise `ConfigError` for packages of `logger=NAME` that are not installed, naming what installs them."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ConfigError(f"logger={logger} needs {', '.join(missing)}: pip install 'hardneg[{logger}]'")
