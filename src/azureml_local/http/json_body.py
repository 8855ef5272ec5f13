"""The JSON body of a request, read as Resource Manager reads one."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from starlette.requests import Request

from azureml_local.http.errors import AzureError

JSON = "application/json"
# A text, which may hold anything and may lack its end, or a comma that nothing follows. No byte is looked at twice.
TRAILING_COMMA = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))|,(?=\s*+[}\]])', re.DOTALL)
LARGEST_BODY = 4 * 1024 * 1024  # Resource Manager's limit


async def json_object(request: Request, *, allows_trailing_commas: bool = False) -> dict[str, Any]:
    """Return a request's body, an empty object where there is none.

    Args:
        request: the request.
        allows_trailing_commas: whether a comma may come after the last member, as Json.NET has it.

    Raises:
        AzureError: it is too large, no JSON, or no object.
    """
    declared = request.headers.get("content-length", "0")
    received = bytearray()
    if declared.isdecimal() and int(declared) <= LARGEST_BODY:
        async for piece in request.stream():
            received += piece
            if len(received) > LARGEST_BODY:
                break
    if len(received) > LARGEST_BODY or not declared.isdecimal() or int(declared) > LARGEST_BODY:
        raise AzureError(
            413,
            "RequestContentTooLarge",
            f"The request content size exceeds the maximum size of {LARGEST_BODY} bytes.",
            headers={"Connection": "close"},
        )
    if not received:
        return {}
    media_type = request.headers.get("content-type", "<null>").partition(";")[0].strip()
    if media_type.lower() != JSON:
        message = f"The content media type '{media_type}' is not supported. Only '{JSON}' is supported."
        raise AzureError(415, "UnsupportedMediaType", message)
    if allows_trailing_commas:
        received = bytearray(TRAILING_COMMA.sub(lambda found: found[1] or b"", received))
    try:
        body = json.loads(received, parse_constant=_refuse_number, parse_float=_finite)
        if b"\\u" in received:
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is valid JSON, but no text
    except (ValueError, RecursionError) as error:
        raise AzureError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{error}'.",
        ) from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise AzureError(
            400,
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: 'it must be a JSON object, not "
            f"{type(body).__name__}'.",
        )
    return body


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)
