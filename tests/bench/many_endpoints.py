"""A hundred endpoints, a fifth of them serving: is the control plane as fast as with one, and what do they take?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlencode

import psutil
from comparing import OURS, compare, request
from installation import API, Client, Installation
from load import Spec
from results import Row

ENDPOINTS, SERVING, INSTANCES = 100, 20, 2
ONE = "with one endpoint"
GOALS = {ONE: "ratio >= 0.9"}
ARM, ENTRA = "management.azure.com", "login.microsoftonline.com"


def many_endpoints() -> Iterator[Row]:
    """Fill a service with endpoints, and ask it and one with a single endpoint in turns."""
    with ExitStack() as stack:
        few, many = stack.enter_context(Installation()), stack.enter_context(Installation())
        specs = {}
        for installation, endpoints, serving in ((few, 1, 1), (many, ENDPOINTS, SERVING)):
            installation.start()
            client = Client(installation)
            before, began = _memory_of_children(installation), time.perf_counter()
            _fill(client, endpoints, serving)
            seconds, memory = time.perf_counter() - began, _memory_of_children(installation) - before
            specs[installation] = _specs(installation, client)
        name = f"{ENDPOINTS} endpoints, {SERVING} of them serving with {INSTANCES} instances"
        yield Row(f"{name}: made at once", seconds, "s")
        yield Row(f"{name}: memory of an instance", memory / (SERVING * INSTANCES), "MiB")
        yield Row(f"{name}: memory of the service", installation.status()["memory_mib"], "MiB")
        for what in specs[many]:
            turns = {OURS: specs[many][what], ONE: specs[few][what]}
            yield from compare(f"{name}: {what}", turns, 1, GOALS)


def _fill(client: Client, endpoints: int, serving: int) -> None:
    """Create endpoints, and begin the deployments of all that serve at once."""
    names = [f"bench-{number}" for number in range(endpoints)]
    for name in names:
        client.create_endpoint(name)
    properties = client.scripted("pause.py", PAUSE="0")
    begun = [client.begin_deployment(name, "only", properties, INSTANCES) for name in names[:serving]]
    for operation in begun:
        client.ended(operation)


def _specs(installation: Installation, client: Client) -> dict[str, Spec]:
    """Return what is asked of the control plane."""
    endpoint = f"{client.workspace}/onlineEndpoints/bench-0"
    form = urlencode(client.sign_in(f"https://{ARM}/.default"))
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    requests = {
        "GET an endpoint": (ARM, _get(client, endpoint)),
        "list an endpoint's deployments": (ARM, _get(client, f"{endpoint}/deployments")),
        "sign in": (ENTRA, request("POST", f"/{client.tenant}/oauth2/v2.0/token", ENTRA, typed, form)),
    }
    return {what: _spec(installation, *asked) for what, asked in requests.items()}


def _get(client: Client, path: str) -> str:
    return request("GET", f"{path}?{urlencode(API)}", ARM, {"Authorization": f"Bearer {client.token}"})


def _spec(installation: Installation, host: str, text: str) -> Spec:
    return Spec(
        address=installation.port, request=text, tls_name=host, authority=installation.authority, through_proxy=True
    )


def _memory_of_children(installation: Installation) -> float:
    """Return what the processes of the service have for themselves, in MiB."""
    children = psutil.Process(installation.pid).children(recursive=True)
    return sum(child.memory_full_info().uss for child in children) / 2**20
