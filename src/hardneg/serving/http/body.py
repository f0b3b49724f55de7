"""Reading a request's body, but never more than is allowed, whatever its headers say."""

from __future__ import annotations

from fastapi import HTTPException, Request


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a JSON request.

    A larger one is read to its end and thrown away, as its client, who is still sending, would find a connection that
    was reset in place of the answer; how long that may take is the caller's limit.

    Raises `HTTPException` 413 for more than `most` bytes, also without or against a Content-Length, and 415 for a body
    that is not plain JSON by its headers.
    """
    refusal = HTTPException(413, f"the body has more than {most} bytes", {"Connection": "close"})
    declared = request.headers.get("content-length", "0")
    # One that asks before it sends (Expect: 100-continue, as curl does) is told before it sends.
    if "expect" in request.headers and int(declared) > most:  # the server lets numbers through only
        raise refusal
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= most:
            parts.append(part)
    if size > most:
        raise refusal
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    charset = rest.replace(" ", "").replace('"', "").lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise HTTPException(415, "the body must be JSON in UTF-8: send Content-Type: application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "the body must not be compressed")
    return b"".join(parts)
