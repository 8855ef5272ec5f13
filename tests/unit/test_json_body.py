"""azureml_local.http.json_body: trailing commas, which Json.NET reads (https://www.newtonsoft.com/json)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from azureml_local.http.errors import AzureError
from azureml_local.http.json_body import json_object


def read(body: bytes) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
    return asyncio.run(json_object(request, allows_trailing_commas=True))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ('{"a": [1, 2, ], }', {"a": [1, 2]}),
        ('{"a": ",}", }', {"a": ",}"}),
        (r'{"a": "\",]", "b": "\\", }', {"a": '",]', "b": "\\"}),
        ("{}", {}),
    ],
)
def test_only_commas_at_the_end_are_left_out(sent: str, meant: Any) -> None:
    assert read(sent.encode()) == meant


@pytest.mark.parametrize("sent", ['{"a": 1,,}', '{"a": "', '{"a": "\\', "{,"])
def test_what_is_wrong_otherwise_stays_wrong(sent: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(sent)
    with pytest.raises(AzureError) as caught:
        read(sent.encode())
    assert caught.value.status == 400


def test_text_without_an_end_is_read_once() -> None:
    """Read anew from each of its quotation marks, it would keep the service busy for hours."""
    with pytest.raises(AzureError):
        read(b'{"a": "' + b'\\"' * 1_000_000)
