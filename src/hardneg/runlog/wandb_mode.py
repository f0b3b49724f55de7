"""Whether a W&B run goes to a server: decided before `wandb.init`, which would prompt, fail or wait 90 seconds."""

from __future__ import annotations

import logging
import netrc
import os
import socket
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hardneg.errors import ConfigError, UserError

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

OFFLINE = "run offline with logger.wandb.mode=offline (`wandb sync` can upload later)"
NO_KEY = "no API key is configured: `wandb login`, set WANDB_API_KEY"
PATIENCE = 4.0  # seconds
_ALIASES = {"dryrun": "offline", "run": "online"}


def choose(requested: str) -> tuple[str, bool]:
    """Return the mode, `online`, `offline` or `disabled`, and whether the user insists on it.

    `auto` takes what `WANDB_MODE` or `wandb offline` say, else online if there is a key and the server answers, else
    offline. Raises `ConfigError` for a mode that does not exist, `UserError` if `online` is asked for and not possible.
    """
    import wandb

    if requested not in ("auto", "online", "offline", "disabled"):
        raise ConfigError(f"logger.wandb.mode={requested}: must be one of auto, online, offline, disabled")
    settings = wandb.setup().settings
    mode, insists = requested, requested != "auto"
    if mode == "auto":
        found = os.environ.get("WANDB_MODE") or settings.mode  # the settings hold what `wandb offline` wrote
        mode = _ALIASES.get(found, found)
        insists = mode != "online" or "WANDB_MODE" in os.environ
    if mode != "online":
        return mode, True
    if not _has_key(settings):
        if insists:
            raise UserError(f"W&B online, but {NO_KEY}, or {OFFLINE}")
        return "offline", False
    if not _answers(settings):
        if insists:
            raise UserError(f"W&B server {settings.base_url} cannot be reached: check the network, or {OFFLINE}")
        log.warning("W&B server %s cannot be reached; this run is logged offline", settings.base_url)
        return "offline", False
    return "online", insists


def check_server() -> None:
    """Raise `UserError` where there is no key or no server, for what works online only."""
    import wandb

    settings = wandb.setup().settings
    if not _has_key(settings):
        raise UserError(f"this needs a W&B server, but {NO_KEY}")
    if not _answers(settings):
        raise UserError(f"W&B server {settings.base_url} cannot be reached: check the network")


def _has_key(settings: wandb.Settings) -> bool:
    return bool(settings.api_key or settings.identity_token_file or _key_in_netrc(settings.base_url))


def _answers(settings: wandb.Settings) -> bool:
    proxy = settings.https_proxy if settings.base_url.startswith("https") else settings.http_proxy
    return _reachable(settings.base_url, proxy)


def _key_in_netrc(base_url: str) -> bool:
    found = os.environ.get("NETRC")
    paths = [Path(found)] if found else [Path("~/.netrc"), Path("~/_netrc")]
    path = next((path.expanduser() for path in paths if path.expanduser().is_file()), None)
    try:
        return path is not None and netrc.netrc(path).authenticators(urlsplit(base_url).netloc) is not None
    except (netrc.NetrcParseError, OSError):
        return False


def _reachable(base_url: str, proxy: str | None) -> bool:
    """Try a connection to the server, or to the proxy that leads there."""
    target = urlsplit(base_url)
    if not urllib.request.proxy_bypass(target.hostname or ""):
        # behind a proxy a direct connection fails although uploads would work
        found = proxy or urllib.request.getproxies().get(target.scheme)
        target = urlsplit(found if "://" in found else f"http://{found}") if found else target
    port = target.port or (443 if target.scheme == "https" else 80)
    answered = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((target.hostname, port), timeout=PATIENCE).close()
        except OSError:
            return
        answered.set()

    # in a thread, because a name server that does not answer ignores the socket's timeout
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answered.is_set()
