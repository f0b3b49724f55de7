"""The prompts of a sentence-transformers folder: which of them stands in front of a query, and of a document."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardneg.encoders.sentence_transformers_names import SETTINGS
from hardneg.encoders.towers import DOCUMENT, QUERY

log = logging.getLogger(__name__)

PROMPT_NAMES = {QUERY: ("query",), DOCUMENT: ("document", "passage", "corpus")}  # what a side's prompt may be called


@dataclass(frozen=True)
class FolderPrompts:
    """The prompts that the `settings` of a folder name."""

    folder: Path
    settings: Mapping[str, Any]

    def of(self, side: str) -> str:
        """What is put in front of a query or a document: the prompt of the side's name, else the folder's default."""
        return self._named(side)[1]

    def warn(self, side: str) -> None:
        """Say where a side's prompt is one that sentence-transformers' encode_query or encode_document leaves out.

        It gives every model the prompts `query` and `document`, empty where the folder names none, and so comes neither
        to a folder's `passage` nor to its default prompt, which its author wants in front.
        """
        name, prompt = self._named(side)
        if prompt and name != side:
            log.warning(
                "%s: its prompt %r (%s in %s) is put in front of each %s here; encode_%s of sentence-transformers"
                " leaves it out, where encode with prompt_name=%s gives these vectors",
                *(self.folder, prompt, name, SETTINGS, side, side, name),
            )

    @property
    def default(self) -> str:
        """The prompt that is put in front of whatever has none of its own; empty where the folder names none."""
        return str((self.settings.get("prompts") or {}).get(self.settings.get("default_prompt_name")) or "")

    def _named(self, side: str) -> tuple[str, str]:
        """Name and text of a side's prompt."""
        prompts, default = self.settings.get("prompts") or {}, self.settings.get("default_prompt_name") or ""
        name = next((name for name in PROMPT_NAMES[side] if prompts.get(name) is not None), default)
        return name, prompts.get(name, "")
