"""What a run folder's config says: read back, and the data that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg.config import classes, composition, started_with
from hardneg.config.run_identity import flat
from hardneg.data.open_set import open_set
from hardneg.data.tables import RetrievalData
from hardneg.errors import UserError
from hardneg.system.cache_folder import cache_folder

DATA_PLACES = ("path", "repo", "qrels_repo")  # keys of `data` that say where it lies: a path, or a name on the hub
HYDRA = re.compile(r"\$\{hydra:([\w.]+)\}")


def read_config(folder: str | Path) -> Any:
    """Return the config that a run was started with; raises `UserError` for a folder without one.

    Relative paths of data and cache are resolved as they were then, from the directory that the run was started in.
    """
    folder = Path(folder)
    if (cfg := started_with.config_of(folder)) is None:
        raise UserError(f"{folder} is not a run folder: it has no {started_with.CONFIG}")
    composition.register_resolvers()
    app = started_with.of_hydra(folder, "hydra") or OmegaConf.create()
    cwd = str(OmegaConf.select(app, "runtime.cwd") or "")
    for key, value in _of_hydra(OmegaConf.to_container(cfg, resolve=False)):
        OmegaConf.update(cfg, key, HYDRA.sub(lambda found: str(OmegaConf.select(app, found[1])), value))
    for key, value in _paths(OmegaConf.to_container(cfg, resolve=False)) if cwd else ():
        # What is no longer there is looked for from here: the folder may have come from another machine, with its data.
        if (there := Path(cwd, Path(value).expanduser())).exists():
            OmegaConf.update(cfg, key, str(there))
    return cfg


def open_data(folder: str | Path) -> RetrievalData:
    """Load the data set of a run again: texts, queries and judgements by split."""
    cfg = read_config(folder)
    return open_set(classes.build(cfg.data), Path(cfg.get("cache") or cache_folder()))


def _of_hydra(node: Any) -> Iterator[tuple[str, str]]:
    """The values, by their keys, that name a part of Hydra's own config: only a running app could resolve them."""
    yield from ((key, value) for key, value in flat(node) if isinstance(value, str) and HYDRA.search(value))


def _paths(node: Any) -> Iterator[tuple[str, str]]:
    """The paths of the data, one set or several, and of the cache, by their keys; not what is made of others."""
    data = node.get("data") or {}
    named = {"cache": node.get("cache"), "data.cache": data.get("cache")}
    also = (node.get("evaluate") or {}).get("also") or {}
    sets = {"data": data}
    sets |= {f"data.sets.{name}": one for name, one in (data.get("sets") or {}).items()}
    sets |= {f"evaluate.also.{name}": one for name, one in also.items()}
    named |= {f"{key}.{place}": one.get(place) for key, one in sets.items() for place in DATA_PLACES}
    yield from ((key, value) for key, value in named.items() if isinstance(value, str) and "${" not in value)
