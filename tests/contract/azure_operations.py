"""The operations of Azure's APIs, as Microsoft's own clients know them: each is a function that builds a request."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

MACHINE_LEARNING = (
    "azure.ai.ml._restclient.arm_ml_service.operations",  # API version 2025-12-01
    "azure.mgmt.machinelearningservices.operations",
)
# The APIs at <region>.api.azureml.ms.
WORKSPACE_API = {
    "azure.ai.ml._restclient.runhistory.operations": "run history",
    "azure.ai.ml._restclient.model_dataplane.operations": "models",
    "azure.ai.ml._restclient.dataset_dataplane.operations": "data",
    "azure.ai.ml._restclient.registry_discovery.operations": "registries",
    "azure.ai.ml._restclient.workspace_dataplane.operations": "hubs",
}
OTHERS = (
    "azure.ai.ml._vendor.azure_resources.operations",
    "azure.mgmt.authorization.v2022_04_01.operations",
    "azure.mgmt.keyvault.operations",
    "azure.mgmt.loganalytics.operations",
    "azure.mgmt.monitor.v2021_05_01_preview.operations",
    "azure.mgmt.monitor.v2022_10_01.operations",
    "azure.mgmt.msi.v2024_11_30.operations",
    "azure.mgmt.storage.operations",
)
BUILDER = re.compile(r"build_(\w+)_request")
PATH = re.compile(r"[\"'](/[^\"']*)[\"']")
METHOD = re.compile(r"method=\"([A-Z]+)\"")
PARAMETER = re.compile(r"\{[^}]+\}")


@dataclass(frozen=True)
class AzureOperation:
    """An operation: its group and name, as in ``Jobs_CreateOrUpdate``, its method, and the template of its path."""

    group: str
    name: str
    method: str
    path: str

    @property
    def id(self) -> str:
        """The name that Azure's OpenAPI has for it."""
        return f"{self.group}_{self.name}"


def key(method: str, path: str) -> tuple[str, str]:
    """Return what two operations have in common that are the same, whatever their parameters are called."""
    return method, PARAMETER.sub("{}", path).rstrip("/").lower()


@functools.cache
def of(*packages: str) -> dict[tuple[str, str], AzureOperation]:
    """Return the operations of clients' packages by :func:`key`; where two know one, as the earlier has it."""
    found: dict[tuple[str, str], AzureOperation] = {}
    for package in packages:
        for module in _modules(package):
            for operation in _operations(module):
                found.setdefault(key(operation.method, operation.path), operation)
    return found


def _modules(package: str) -> Iterator[ModuleType]:
    folder = importlib.import_module(package)
    for one in pkgutil.iter_modules(folder.__path__):
        if one.name.endswith("_operations"):
            yield importlib.import_module(f"{package}.{one.name}")


def _operations(module: ModuleType) -> Iterator[AzureOperation]:
    groups = _groups(module)
    for function_name, function in inspect.getmembers(module, inspect.isfunction):
        built = BUILDER.fullmatch(function_name)
        source = inspect.getsource(function) if built else ""
        method, path = METHOD.search(source), PATH.search(source)
        if built and method and path:
            group, name = _named(built[1], groups)
            yield AzureOperation(group, name, method[1], path[1])


def _groups(module: ModuleType) -> Mapping[str, str]:
    """Return the groups that a module has, by what the names of their functions begin with."""
    classes = [name.removesuffix("Operations") or name for name in vars(module) if name.endswith("Operations")]
    groups = {_snake(name): name for name in classes}
    # A module of one group leaves its name away.
    return groups if len(groups) > 1 else dict.fromkeys(groups, "") | {"": next(iter(groups.values()), "Operations")}


def _named(words: str, groups: Mapping[str, str]) -> tuple[str, str]:
    fitting = [start for start in groups if start and words.startswith(f"{start}_") and groups[start]]
    start = max(fitting, key=len, default="")
    rest = words.removeprefix(f"{start}_") if start else words
    return groups.get(start, "Operations"), "".join(word.capitalize() for word in rest.split("_"))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def example_path(operation: AzureOperation) -> str:
    """Return a path of an operation, in which whatever has a name is called ``some``."""
    return PARAMETER.sub("some", operation.path)
