"""Reading a question: the JSON body of a search, with messages that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from hardneg.serving.http.limits import Limits

SHOWN, LONG = 3, 60  # errors that are reported, and characters of a key in them
MANY = 100  # errors beyond which they are only counted: a hostile body can have one for each of 50,000 keys
EITHER = "give either query, a text, or queries, a list of texts"


def question(limits: Limits) -> type[BaseModel]:
    """Make the model of a body: `query` or `queries`, and `k`; types are strict and other keys are errors."""
    text = Annotated[str, StringConstraints(max_length=limits.max_chars), AfterValidator(_says_something)]
    return create_model(
        "Question",
        __config__=ConfigDict(strict=True, extra="forbid"),
        query=(text | None, None),
        queries=(Annotated[list[text], Field(min_length=1, max_length=limits.max_queries)] | None, None),  # type: ignore[valid-type]
        k=(Annotated[int, Field(ge=1, le=limits.max_k)], min(10, limits.max_k)),
    )


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def reader(model: type[BaseModel]) -> Callable[[bytes], tuple[list[str], int]]:
    """Return what turns a body into texts and `k`; raises `HTTPException` 400 for what is not JSON, else 422."""

    def read(body: bytes) -> tuple[list[str], int]:
        try:
            asked: Any = model.model_validate_json(body)
        except ValidationError as error:
            raise _refusal(error, model) from None
        if (asked.query is None) == (asked.queries is None):
            raise HTTPException(422, EITHER)
        return [asked.query] if asked.queries is None else asked.queries, asked.k

    return read


def _refusal(error: ValidationError, model: type[BaseModel]) -> HTTPException:
    if (count := error.error_count()) > MANY:
        return HTTPException(422, f"{count} things are wrong with the body")
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return HTTPException(400, f"the body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}")
    keys = f"unknown key; the keys are {', '.join(model.model_fields)}"
    said = [
        _place(one["loc"]) + (keys if one["type"] == "extra_forbidden" else one["msg"].removeprefix("Value error, "))
        for one in found[:SHOWN]
    ]
    return HTTPException(422, "; ".join([*said, *(["..."] if len(found) > SHOWN else [])]))


def _place(path: tuple[Any, ...]) -> str:
    place = ".".join(str(part) for part in path)
    return f"{place if len(place) <= LONG else place[:LONG] + '...'}: " if place else ""
