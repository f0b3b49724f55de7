"""The application: its paths, and the form of refusals."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from hardneg import __version__
from hardneg.serving.http.limits import Limits
from hardneg.serving.http.service import Service, as_json
from hardneg.serving.live_index import LiveIndex

ABOUT = "Answers come from one build of the index, which they name, with its freshness. Refusals are {error: why}."


def app(live: LiveIndex, limits: Limits | None = None) -> FastAPI:
    """Make the application that answers with this index; one process, since the model is in memory.

    `/docs` is left out: its page loads scripts from elsewhere. `/openapi.json` describes everything.
    """
    service = Service(live, limits or Limits())
    made = FastAPI(
        title="hardneg",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect names http:// where a proxy speaks TLS
        lifespan=service.lifespan,
    )
    made.state.service = service
    body = {"required": True, "content": {"application/json": {"schema": service.model.model_json_schema()}}}
    made.post("/search", response_class=Response, openapi_extra={"requestBody": body})(service.search)
    for path, tells in (("/health", service.health), ("/freshness", service.freshness)):
        made.get(path, response_class=Response)(tells)
        made.head(path, include_in_schema=False)(tells)  # as probes ask; the server leaves the body out
    made.post("/freshness", response_class=Response)(service.examine)
    made.exception_handler(HTTPException)(_refused)
    made.exception_handler(Exception)(_failed)
    return made


async def _refused(_: Request, error: HTTPException) -> Response:
    return as_json({"error": error.detail}, error.status_code, dict(error.headers or {}))


async def _failed(_: Request, error: Exception) -> Response:
    """Answer an unforeseen error: the server logs it, and the client learns nothing about our internals."""
    return as_json({"error": "this request failed; the service's log says why"}, 500)
