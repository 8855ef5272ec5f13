"""A workload through Azure's clients, a note of what was acknowledged, and the processes that are killed meanwhile.

What may be there is a set for each thing: before a request both the old and the new, after its acknowledgement the new
only, after a refusal (4xx) the old only. A request that broke off may have been carried out or not.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.machinelearningservices import models as aml
from clients import SECONDS, Clients

from running_service import wait_for

ENDPOINT = "chaos"
DEPLOYMENTS = ("blue", "green", "teal")
BLOBS = tuple(f"folder/blob{number}" for number in range(6))
DATA = tuple(f"data{number}" for number in range(4))
ENDPOINTS = ("other", "another")


@dataclass
class Expected:
    """What may be there: for each thing (its kind and name) the values that are possible, None for absent."""

    values: dict[tuple[str, str], set[Any]] = field(default_factory=dict)

    def of(self, kind: str, name: str) -> set[Any]:
        return self.values.setdefault((kind, name), {None})

    @contextmanager
    def change(self, kind: str, name: str, value: Any) -> Iterator[None]:
        """Note that a request for ``value`` is sent, and how it ends."""
        before = set(self.of(kind, name))
        self.values[kind, name] = before | {value}
        try:
            yield
        except HttpResponseError as error:
            if error.status_code is not None and 400 <= error.status_code < 500:
                self.values[kind, name] = before
            raise
        self.values[kind, name] = {value}

    def found(self, kind: str, name: str, value: Any) -> None:
        """Check a value that was found, which is the only possible one from now on."""
        possible = self.of(kind, name)
        assert value in possible, f"{kind} {name} is {value!r}, and may be {possible!r}"
        self.values[kind, name] = {value}


class Workload:
    """Random requests, one after the other."""

    def __init__(self, clients: Clients, expected: Expected) -> None:
        self.clients = clients
        self.expected = expected
        self.container = clients.blobs.get_container_client("chaos")
        self.doing = "nothing"
        self.done = 0
        self._serial = 0

    def set_up(self) -> None:
        """Make an endpoint with one deployment that serves."""
        self.clients.upload_script()
        self.container.create_container()
        management, scope = self.clients.management, self.clients.scope
        endpoint = management.online_endpoints.begin_create_or_update(*scope, ENDPOINT, self.clients.endpoint())
        endpoint.result(120)
        keys = management.online_endpoints.list_keys(*scope, ENDPOINT)
        self.expected.values["key", "Primary"] = {keys.primary_key}
        self.expected.values["key", "Secondary"] = {keys.secondary_key}
        self.expected.values["traffic", ENDPOINT] = {""}
        with self.expected.change("deployment", "blue", "first"):
            body = self.clients.deployment("first")
            management.online_deployments.begin_create_or_update(*scope, ENDPOINT, "blue", body).result(120)

    def run(self, seed: str, until: threading.Event) -> None:
        """Send requests until told to stop, or until one finds nobody there."""
        rng = random.Random(seed)
        kinds: list[Callable[[random.Random], None]] = [
            self.upload, self.upload, self.delete_blob, self.register, self.regenerate_key, self.split_traffic,
            self.deploy, self.deploy, self.delete_deployment, self.create_endpoint, self.delete_endpoint,
        ]  # fmt: skip
        while not until.is_set():
            kind = rng.choice(kinds)
            self.doing = kind.__name__
            try:
                kind(rng)
                self.done += 1
            except HttpResponseError:
                continue  # refused, which `Expected.change` has noted; or the storage is being started again
            except AzureError:
                return
        self.doing = "nothing"

    def _new_value(self) -> str:
        self._serial += 1
        return f"v{self._serial}"

    def upload(self, rng: random.Random) -> None:
        name, value = rng.choice(BLOBS), self._new_value()
        with self.expected.change("blob", name, value):
            self.container.upload_blob(name, value.encode() * rng.choice((1, 50_000)), overwrite=True)

    def delete_blob(self, rng: random.Random) -> None:
        name = rng.choice(BLOBS)
        with self.expected.change("blob", name, None):
            self.container.delete_blob(name)

    def register(self, rng: random.Random) -> None:
        name, value = rng.choice(DATA), self._new_value()
        uri = f"azureml://datastores/workspaceblobstore/paths/{name}"
        body = aml.DataVersionBase(properties=aml.UriFileDataVersion(data_uri=uri, description=value))
        with self.expected.change("data", name, value):
            self.clients.management.data_versions.create_or_update(*self.clients.scope, name, "1", body)

    def regenerate_key(self, rng: random.Random) -> None:
        name, value = rng.choice(("Primary", "Secondary")), f"{self._new_value()}key".ljust(32, "x")
        with self.expected.change("key", name, value):
            self.clients.management.online_endpoints.begin_regenerate_keys(
                *self.clients.scope, ENDPOINT, aml.RegenerateEndpointKeysRequest(key_type=name, key_value=value)
            ).result(60)

    def split_traffic(self, rng: random.Random) -> None:
        name = rng.choice(DEPLOYMENTS)
        with self.expected.change("traffic", ENDPOINT, name):
            body = self.clients.endpoint({name: 100})
            self.clients.management.online_endpoints.begin_create_or_update(*self.clients.scope, ENDPOINT, body)

    def deploy(self, rng: random.Random) -> None:
        name, value = rng.choice(DEPLOYMENTS), self._new_value()
        with self.expected.change("deployment", name, value):
            self.clients.management.online_deployments.begin_create_or_update(
                *self.clients.scope, ENDPOINT, name, self.clients.deployment(value)
            )

    def delete_deployment(self, rng: random.Random) -> None:
        name = rng.choice(DEPLOYMENTS[1:])
        with self.expected.change("deployment", name, None):
            self.clients.management.online_deployments.begin_delete(*self.clients.scope, ENDPOINT, name)

    def create_endpoint(self, rng: random.Random) -> None:
        name = rng.choice(ENDPOINTS)
        with self.expected.change("endpoint", name, "there"):
            self.clients.management.online_endpoints.begin_create_or_update(
                *self.clients.scope, name, self.clients.endpoint()
            )

    def delete_endpoint(self, rng: random.Random) -> None:
        name = rng.choice(ENDPOINTS)
        with self.expected.change("endpoint", name, None):
            self.clients.management.online_endpoints.begin_delete(*self.clients.scope, name)


def check(clients: Clients, expected: Expected, killed: str = "") -> None:
    """Compare what is there with what may be there; what is still being done is waited for.

    A deployment whose instance was killed before it ever served has failed, and says so; it is deployed again.
    """
    _check_storage(clients, expected)
    for name in DATA:
        found = _or_none(lambda name=name: clients.management.data_versions.get(*clients.scope, name, "1"))
        expected.found("data", name, found.properties.description if found else None)
    for name in ENDPOINTS:
        settled = _settled(lambda name=name: clients.management.online_endpoints.get(*clients.scope, name), name)
        expected.found("endpoint", name, "there" if settled else None)
    endpoint = _settled(lambda: clients.management.online_endpoints.get(*clients.scope, ENDPOINT), ENDPOINT)
    assert endpoint is not None
    shares = endpoint.properties.traffic or {}
    expected.found("traffic", ENDPOINT, next((name for name, share in shares.items() if share), ""))
    keys = clients.management.online_endpoints.list_keys(*clients.scope, ENDPOINT)
    expected.found("key", "Primary", keys.primary_key)
    expected.found("key", "Secondary", keys.secondary_key)
    for name in DEPLOYMENTS:
        settled = _settled(
            lambda name=name: clients.management.online_deployments.get(*clients.scope, ENDPOINT, name), name
        )
        if settled is None:
            expected.found("deployment", name, None)
            continue
        if settled.properties.provisioning_state == "Failed" and killed.startswith("instance"):
            deploy_again(clients, expected, name)
        else:
            assert settled.properties.provisioning_state == "Succeeded", name
        expected.found("deployment", name, _variant(clients, name, keys.primary_key))
        # The secondary key, too, and no other.
        assert clients.score(ENDPOINT, keys.secondary_key, name).status_code in (200, 429)
        assert clients.score(ENDPOINT, "x" * 32, name).status_code == 401


def deploy_again(clients: Clients, expected: Expected, name: str) -> None:
    """Delete a failed deployment, which may have taken traffic, and deploy it again."""
    management, scope = clients.management, clients.scope
    management.online_endpoints.begin_create_or_update(*scope, ENDPOINT, clients.endpoint()).result(SECONDS)
    expected.values["traffic", ENDPOINT] = {""}
    management.online_deployments.begin_delete(*scope, ENDPOINT, name).result(SECONDS)
    with expected.change("deployment", name, f"{name}-again"):
        body = clients.deployment(f"{name}-again")
        management.online_deployments.begin_create_or_update(*scope, ENDPOINT, name, body).result(SECONDS)


def _check_storage(clients: Clients, expected: Expected) -> None:
    container = clients.blobs.get_container_client("chaos")

    def listed() -> list[str] | None:
        try:
            return list(container.list_blob_names())
        except AzureError:
            return None  # it is being started again

    names = wait_for(lambda: (listed(),) if listed() is not None else None, "the storage answers")[0]
    for name in BLOBS:
        content = container.download_blob(name).readall() if name in (names or ()) else None
        value = f"v{content.decode().split('v')[1]}" if content else None
        if content:
            assert content in (value.encode(), value.encode() * 50_000), f"{name} is cut off"  # type: ignore[union-attr]
        expected.found("blob", name, value)


def _or_none(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except ResourceNotFoundError:
        return None


def _settled(get: Callable[[], Any], name: str) -> Any:
    """Return a resource once no operation on it goes on; None where it is gone."""

    def state() -> tuple[Any] | None:
        found = _or_none(get)
        is_settled = found is None or found.properties.provisioning_state in ("Succeeded", "Failed")
        return (found,) if is_settled else None

    return wait_for(state, f"the operation on {name} ends")[0]


def _variant(clients: Clients, deployment: str, key: str) -> str:
    def answer() -> str | None:
        response = clients.score(ENDPOINT, key, deployment)
        assert response.status_code in (200, 424, 429), f"{deployment} answers {response.status_code} {response.text}"
        return response.json()["deployment"] if response.status_code == 200 else None

    return wait_for(answer, f"{deployment} serves again")


# --- the processes ---


def processes(pid: int) -> dict[str, list[psutil.Process]]:
    """Return the service's processes by what they are."""
    found: dict[str, list[psutil.Process]] = {"service": [psutil.Process(pid)]}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            line, parent = " ".join(process.cmdline()), " ".join(process.parent().cmdline())  # type: ignore[union-attr]
        except (psutil.Error, AttributeError):
            continue
        storage = "without_unused.cjs" in line
        if "fork_server.py" in line:
            kind = "fork server's guard" if "guard.py" in line else "fork server"
        elif "guard.py" in line:
            kind = "storage's guard" if storage else "instance's guard"
        elif storage:
            kind = "storage"
        elif "gunicorn" in line:
            kind = "instance's worker" if "gunicorn" in parent and "guard.py" not in parent else "instance"
        else:
            continue
        found.setdefault(kind, []).append(process)
    return found


TARGETS = ("service", "storage", "instance", "storage's guard", "instance's worker", "instance's guard")
