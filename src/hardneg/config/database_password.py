"""A password in the URL of a study's database: kept in the environment, so that no word, config or log has it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

from omegaconf import DictConfig, open_dict, read_write

from hardneg.config.command_words import key_of, quoted

PASSWORD = "HARDNEG_STORAGE_PASSWORD"  # processes that this one starts inherit it
KEYS = ("storage", "hydra.sweeper.storage")
WITH_PASSWORD = re.compile(r"(://[^:/@]*):([^@]*)@")  # as SQLAlchemy reads a URL
IN_QUERY = re.compile(r"(?<=[?&])password=([^&#'\"]*)&?")  # as libpq and others take it


def without_password(url: str) -> str:
    """Return a URL, or a word that holds one, without its password, which then is in the environment."""
    for pattern, bare in ((WITH_PASSWORD, r"\1@"), (IN_QUERY, "")):
        if "://" in url and (found := pattern.search(url)) is not None:
            if password := unquote(found[pattern.groups]):  # an empty password must not replace a real one
                os.environ[PASSWORD] = password
            url = re.sub(r"[?&](?=['\"]*$)", "", pattern.sub(bare, url, count=1))
    return url


def words_without_password(words: Iterable[str]) -> list[str]:
    """Return the words of a command line, those of a study's database without a password."""
    return [without_password(word) if key_of(word.strip("'\"")) in KEYS else word for word in words]


def drop_from_config(config: DictConfig) -> None:
    """Drop the password that your own yaml may give a sweep's storage from the config that Hydra has composed."""
    url = config.hydra.sweeper.get("storage")
    if url is None or (bare := without_password(str(url))) == url:
        return
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweeper.storage = bare
        # Each job is composed from these words.
        config.hydra.overrides.hydra = [*config.hydra.overrides.hydra, f"hydra.sweeper.storage={quoted(bare)}"]


def with_password(url: str) -> str:
    """Return a URL that names a user with the password in the environment, for connecting to the database.

    Raises SQLAlchemy's `ArgumentError` for what is not a URL.
    """
    from sqlalchemy.engine import make_url

    read = make_url(url)
    if PASSWORD in os.environ and read.password is None and "password" not in read.query:
        if read.username:
            read = read.set(password=os.environ[PASSWORD])
        elif "user" in read.query:
            read = read.update_query_dict({"password": os.environ[PASSWORD]})
    return read.render_as_string(hide_password=False)
