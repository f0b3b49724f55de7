"""The prompts that data have for their texts, in place of the encoder's."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hardneg.data.tables import RetrievalData

log = logging.getLogger(__name__)

Prompts = Sequence[tuple[range, str]]  # rows and the prompt in front of their texts


def query_prompts(data: RetrievalData) -> Prompts:
    """Return those of the queries, in the order of the rows."""
    return [(part.queries, part.query_prompt) for part in data.parts if part.query_prompt is not None]


def document_prompts(data: RetrievalData) -> Prompts:
    """Return those of the documents, in the order of the rows."""
    return [(part.docs, part.document_prompt) for part in data.parts if part.document_prompt is not None]


def tell_prompts(data: RetrievalData, prompt: str) -> None:
    """Log the prompts that data have for their queries, where they are not the encoder's `prompt`."""
    own = [(part.name, part.query_prompt) for part in data.parts if part.query_prompt not in (None, prompt)]
    if own and data.mixed:
        told = ", ".join(f"{name} {prompt!r}" for name, prompt in own)
        log.info("query prompts of single sets, in place of encoder.query.prompt: %s", told)
    elif own:
        log.info(
            "%s: the data's prompt %r precedes every query, in place of encoder.query.prompt, which is all that "
            "an export or a search uses; to have it there too, train with encoder.query.prompt set to it",
            *own[0],
        )
