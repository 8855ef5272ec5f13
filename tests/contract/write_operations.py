"""Write ``docs/operations.md``: every operation that is served, from the routes, and what is lacking of Azure's.

    python tests/contract/write_operations.py

Run it after a change of a route or of what a handler says of itself; a test compares.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure_operations
from azure_operations import AzureOperation
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from azureml_local.arm import control_plane, ids
from azureml_local.arm.control_plane import ControlPlane
from azureml_local.dataplane.mlflow_request import Operation
from azureml_local.edge import hosts
from azureml_local.home import Home
from azureml_local.http.errors import AzureError
from azureml_local.http.routing import Routes
from azureml_local.service import Service

TARGET = Path(__file__).parents[2] / "docs" / "operations.md"
# Begins of paths, and how the page abbreviates them.
SHORT = (
    (ids.WORKSPACE, "WORKSPACE"),
    (ids.ML_REGISTRY, "REGISTRY"),
    (ids.RESOURCE_GROUP, "GROUP"),
    (ids.SUBSCRIPTION, "SUBSCRIPTION"),
)
AREAS: Mapping[str, str] = {
    "access": "Roles, identities, vaults",
    "assets": "Assets: code, models, environments, data, components",
    "autoscale": "Autoscale settings",
    "batch": "Batch endpoints",
    "compute": "Computes, sizes, quotas",
    "jobs": "Jobs",
    "metrics": "Metrics",
    "monitor": "Log Analytics, diagnostic settings",
    "online": "Online endpoints",
    "registries": "Registries",
    "schedules": "Schedules",
    "storage": "Storage accounts, datastores, container registries",
}
REST = "Subscriptions, resource groups, workspaces"
APPLICATIONS: Mapping[str, str] = {
    "entra": "Microsoft Entra",
    "workspace_api": "A workspace's own address: run history, MLflow, registries, what nodes ask for",
    "scoring": "Endpoints",
    "storage": "Blob storage",
    "key_vault": "Key Vault's secrets",
    "log_queries": "Queries of logs",
    "databricks": "Databricks workspaces",
    "telemetry": "Telemetry of clients",
}
EVERYTHING = "/{path:path}"  # the route of what is refused
HEAD = """\
# Operations

What the service answers, from its routes: `python tests/contract/write_operations.py` writes this page, and a test
compares it. Azure's names of operations are those of Microsoft's own clients: azure-ai-ml's API version 2025-12-01 of
`Microsoft.MachineLearningServices`, and the azure-mgmt packages for the other providers. What an operation does not do
of what Azure's does, is in [emulation.md](emulation.md).

In paths, `SUBSCRIPTION` stands for `/subscriptions/{subscription}`, `GROUP` for
`/subscriptions/{subscription}/resourceGroups/{resource_group}`, `WORKSPACE` and `REGISTRY` for
`GROUP/providers/Microsoft.MachineLearningServices/workspaces/{workspace}` and `…/registries/{asset_registry}`,
and `SCOPE` for each of several kinds of resources.
"""
LACKING = """\
## What is lacking of Microsoft.MachineLearningServices

Of the {known} operations of its control plane, {served} are served. The other {lacking} answer `501 NotImplemented` and
name themselves; a test sends each.

| group | served | lacking | which |
|---|---|---|---|
"""


DATA_PLANES = """\
## What is served of a workspace's own address

azure-ai-ml has clients for more of it than it uses, and than is documented. What is not served answers 501.

| API | operations that the client knows | served |
|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Row:
    """An operation that is served."""

    path: str
    method: str
    does: str
    azure: str


def text() -> str:
    """Return the page."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        service = Service(home, home.create(), upstream_proxy=None)
        applications = service.applications()
        parts = [HEAD, *_control_plane(), _lacking(), *_data_planes(applications), _of_data_planes(applications)]
        service.metrics.close()
        service.store.close()
    return "\n".join(parts)


def served_in_registries() -> Routes[Any]:
    """Return the routes of the control plane that the address of a registry serves, too."""
    from azureml_local.dataplane import registries

    (mount,) = (one for one in registries.routes(None) if isinstance(one, Mount))  # type: ignore[arg-type]
    return mount.app.routes


@functools.cache
def lacking() -> list[AzureOperation]:
    """Return the operations of Azure ML's control plane that are not served."""
    known = azure_operations.of(*azure_operations.MACHINE_LEARNING)
    tables = (control_plane.routes(), served_in_registries())
    served = {azure_operations.key(method, path) for table in tables for method, path, _ in table}
    return [operation for key, operation in sorted(known.items()) if key not in served]


def answer_of(operation: AzureOperation) -> int:
    """Return the status that the control plane answers an operation with which it lacks."""
    try:
        _routing().find(operation.method, azure_operations.example_path(operation), {"api-version": "2025-12-01"})
    except AzureError as error:
        return error.status
    return 200


@functools.cache
def _routing() -> ControlPlane:
    """Return a control plane that finds routes; it would need a context only for what it serves."""
    return ControlPlane(None)  # type: ignore[arg-type]


def _control_plane() -> Iterator[str]:
    known = azure_operations.of(*azure_operations.MACHINE_LEARNING, *azure_operations.OTHERS)
    declared = list(control_plane.routes())
    scopes = Counter((method, handler, _within_scope(path)) for method, path, handler in declared)
    names: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for method, path, handler in declared:
        short = _short(path)
        if scopes[method, handler, _within_scope(path)] > 1:
            short = f"SCOPE{_within_scope(path)}"
        azure = known.get(azure_operations.key(method, path))
        names[_area(handler), short, method, _does(handler)] |= {azure.id} if azure else set()
    yield "## Control plane: management.azure.com\n"
    for area, title in itertools.chain(AREAS.items(), [("", REST)]):
        rows = (Row(*row, ", ".join(sorted(azure))) for (of, *row), azure in names.items() if of == area)
        yield f"### {title}\n\n{_table(rows)}"


def _area(handler: Callable[..., Any]) -> str:
    folder = _inner(handler).__module__.removeprefix("azureml_local.arm.").partition(".")[0]
    return folder if folder in AREAS else ""


def _within_scope(path: str) -> str:
    """Return the part of a path that follows the resource which an extension, such as a role assignment, is of."""
    provider, name = path.rpartition("/providers/")[1:]
    return provider + name if name.startswith(ids.EXTENSIONS) else path


def _short(path: str) -> str:
    for begin, short in SHORT:
        if path.startswith(begin):
            return short + path.removeprefix(begin)
    return path


def _lacking() -> str:
    known = azure_operations.of(*azure_operations.MACHINE_LEARNING)
    missing = lacking()
    rows = []
    for group in sorted({operation.group for operation in missing}):
        names = sorted(operation.name for operation in missing if operation.group == group)
        served = sum(operation.group == group for operation in known.values()) - len(names)
        rows.append(f"| {group} | {served} | {len(names)} | {', '.join(names)} |\n")
    head = LACKING.format(known=len(known), served=len(known) - len(missing), lacking=len(missing))
    return head + "".join(rows)


def _data_planes(applications: Mapping[str, Any]) -> Iterator[str]:
    yield "## Data plane, and the rest\n"
    for name, title in APPLICATIONS.items():
        served = [f"`{'*' if host[0] == '.' else ''}{host}`" for host, app in hosts.SERVED.items() if app == name]
        yield f"### {title}\n\n{', '.join(served)}\n\n{_table(_rows(applications[name]), azure=False)}"


def _of_data_planes(applications: Mapping[str, Any]) -> str:
    """Say how much is served of what azure-ai-ml's clients of a workspace's own address know."""
    rows = _rows(applications["workspace_api"])
    served = {azure_operations.key(row.method, row.path.replace("/…/{workspace}", ids.WORKSPACE)) for row in rows}
    lines = []
    for package, title in azure_operations.WORKSPACE_API.items():
        known = azure_operations.of(package)
        names = ", ".join(sorted(known[key].id for key in known.keys() & served)) or "none"
        lines.append(f"| {title} | {len(known)} | {names} |\n")
    return DATA_PLANES + "".join(lines)


def _rows(application: Any, prefix: str = "") -> Iterator[Row]:
    """Yield what an application serves: Starlette's routes, a table of ours, or what it says of itself."""
    inner = getattr(application, "batch", None)
    if inner is not None:  # the hosts of endpoints: those of batch endpoints have routes, the others a router
        yield from _rows(inner)
        yield Row("/score, or any other path of an online endpoint", "any", _does(type(application.online)), "")
    elif isinstance(application, ControlPlane):
        yield Row(f"{prefix}REGISTRY/…", "any", "Answer what the control plane answers for assets of registries.", "")
    elif isinstance(application, Starlette):
        yield from _starlette(application.routes, prefix)
    elif hasattr(application, "routes"):
        for method, path, handler in application.routes:
            does = handler.handle if isinstance(handler, Operation) else handler
            yield Row(prefix + path, method, _does(does), "")
    else:
        yield Row("any", "any", _does(type(application)), "")


def _starlette(routes: Iterable[Any], prefix: str) -> Iterator[Row]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _rows(route.app, prefix + route.path)
        elif isinstance(route, Route) and route.path != EVERYTHING:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield Row(
                    (prefix + route.path).replace(ids.WORKSPACE, "/…/{workspace}"), method, _does(route.endpoint), ""
                )


def _does(handler: Any) -> str:
    """Return the first sentence of what a handler says of itself."""
    said = inspect.getdoc(_inner(handler)) or ""
    return " ".join(said.partition("\n\n")[0].split()).replace("``", "`")


def _inner(handler: Any) -> Any:
    """Return the function that is wrapped in another, or has some of its arguments."""
    while True:
        handler = inspect.unwrap(handler)
        if not isinstance(handler, functools.partial):
            return handler
        handler = handler.func


def _table(rows: Iterable[Row], *, azure: bool = True) -> str:
    lines = [
        "| method | path | what it does |" + (" Azure's name |" if azure else ""),
        "|---|---|---|" + "---|" * azure,
    ]
    for row in sorted(set(rows)):
        does = row.does.replace("|", "\\|")
        lines.append(f"| {row.method} | `{row.path}` | {does} |" + (f" {row.azure} |" if azure else ""))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
