"""Hydra's sources of configs, which parse a yaml once instead of for every composition."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from hydra._internal.core_plugins import importlib_resources_config_source as of_packages
from hydra._internal.core_plugins import structured_config_source as of_classes
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult


def register() -> None:
    """Let Hydra read by these; one that was asked before for a config stays with its own, which read the same."""
    for source in (StructuredConfigSource, ImportlibResourcesConfigSource):
        SourcesRegistry.instance().register(source)


# By Hydra's own names: of two sources with one name it keeps the one that it was told of first.
class StructuredConfigSource(of_classes.StructuredConfigSource):
    """Configs that are classes: those of Hydra itself and of its plug-ins."""

    def __deepcopy__(self, memo: dict[int, Any]) -> StructuredConfigSource:
        """Return this one, which nobody changes.

        Hydra copies its sources for each composition and for each group whose options it lists, and in Hydra 1.3 this
        one holds all such configs; in Hydra 1.4 it does not.
        """
        return self


class ImportlibResourcesConfigSource(of_packages.ImportlibResourcesConfigSource):
    """The yamls of a package; each is parsed once, and again when its file has changed."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a config that the caller may change; raises Hydra's `ConfigLoadError` where there is none."""
        name = self._normalize_file_name(config_path)
        try:
            state = _files(self.path).joinpath(name).stat()
        except (AttributeError, OSError):  # packed in an archive, or not there
            return super().load_config(config_path)
        key = (self.path, name, state.st_mtime_ns, state.st_size)
        if key not in _parsed:
            _parsed[key] = pickle.dumps(super().load_config(config_path))
        found: ConfigResult = pickle.loads(_parsed[key])  # a copy, in a quarter of copy.deepcopy's time
        return replace(found, provider=self.provider)


_parsed: dict[tuple[str, str, int, int], bytes] = {}


@cache
def _files(package: str) -> Any:
    return resources.files(package)
