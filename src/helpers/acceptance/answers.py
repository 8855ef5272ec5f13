"""Calling an online endpoint as the people who will, and looking at what answers there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import requests

from helpers.acceptance.facts import Deployed
from helpers.acceptance.people import token
from helpers.scoring import score

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import OnlineEndpoint
    from azure.core.credentials import TokenCredential

CALLS = 10


def opener(ml_client: MLClient, endpoint: OnlineEndpoint, owner: TokenCredential) -> str:
    """Return what opens an endpoint of its mode to its owner."""
    if endpoint.auth_mode == "aad_token":
        return token(owner)
    keys = ml_client.online_endpoints.get_keys(endpoint.name)
    return str(getattr(keys, "primary_key", None) or getattr(keys, "access_token", ""))


def deployed(ml_client: MLClient, endpoint: OnlineEndpoint) -> Iterator[Deployed]:
    """Yield the deployments of an endpoint."""
    for one in ml_client.online_deployments.list(endpoint.name):
        state = str(getattr(one.provisioning_state, "value", one.provisioning_state))
        traffic = int((endpoint.traffic or {}).get(one.name, 0))
        yield Deployed(one.name, str(one.instance_type), int(one.instance_count), traffic, state)


def timed(address: str, credential: str, payload: Any) -> tuple[requests.Response, float]:
    """Call a few times; return the last answer, and the median of the seconds that they took."""
    seconds = []
    for _ in range(CALLS):
        began = time.monotonic()
        answer = score(address, credential, payload)
        seconds.append(time.monotonic() - began)
    return answer, statistics.median(seconds)


def opinions(answer: requests.Response) -> int:
    """Return how many opinions an answer holds; none where it is no list."""
    if not answer.ok:
        return 0
    body = answer.json()
    return len(body) if isinstance(body, list) else 0
