"""What a handler of the workspace's API is given, and how it reads what was sent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from azureml_local.dataplane.databricks.errors import DatabricksError, invalid, lacking
from azureml_local.engines.spark.file_tree import FileTree
from azureml_local.http.routing import Routes
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

if TYPE_CHECKING:
    from azureml_local.dataplane.databricks.workspaces import Workspaces

KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a whole number of at most 64 bits",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
INTEGER = re.compile(r"-?[0-9]{1,19}")
LARGEST_INTEGER = 2**63 - 1


class Fields:
    """The members of a request's body, or the parameters of its query, which are all texts.

    Each method returns a member, or ``default`` where it is missing; without a default it raises 400.
    """

    def __init__(self, members: Mapping[str, Any], within: str = "") -> None:
        self.members = members
        self._within = within

    def text(self, name: str, default: Any = ...) -> Any:
        """Return a text."""
        return self._get(name, str, default)

    def integer(self, name: str, default: Any = ...) -> Any:
        """Return a whole number, which may be written as a text."""
        value = self.members.get(name)
        if isinstance(value, str) and INTEGER.fullmatch(value):
            found: Any = int(value)
        else:
            found = self._get(name, int, default)
        if isinstance(found, int) and abs(found) > LARGEST_INTEGER:
            raise self._malformed(name, KINDS[int])
        return found

    def flag(self, name: str, default: Any = ...) -> Any:
        """Return true or false, which may be written as a text."""
        value = self.members.get(name)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        return self._get(name, bool, default)

    def texts(self, name: str, default: Any = ...) -> Any:
        """Return a list of texts."""
        found = self._get(name, list, default)
        if isinstance(found, list) and not all(isinstance(one, str) for one in found):
            raise self._malformed(name, "a list of strings")
        return found

    def mapping(self, name: str, default: Any = ...) -> Any:
        """Return an object whose members are texts, on one line each."""
        found = self._get(name, dict, default)
        for key, value in found.items() if isinstance(found, dict) else ():
            if not isinstance(value, str) or any(sign in key + value for sign in "\r\n\0"):
                raise self._malformed(f"{name}.{key}", "a string without line breaks")
        return found

    def inner(self, name: str, default: Any = ...) -> Any:
        """Return an object."""
        found = self._get(name, dict, default)
        return Fields(found, f"{self._within}{name}.") if isinstance(found, dict) else found

    def each(self, name: str, default: Any = ...) -> Any:
        """Return a list of objects."""
        found = self._get(name, list, default)
        if not isinstance(found, list):
            return found
        if not all(isinstance(one, dict) for one in found):
            raise self._malformed(name, "a list of objects")
        return [Fields(one, f"{self._within}{name}[{at}].") for at, one in enumerate(found)]

    def refuse(self, lacking_members: tuple[str, ...]) -> None:
        """Raise 501 where a member asks for what azureml-local does not do."""
        for name in lacking_members:
            if self.members.get(name):
                raise lacking(f"what {self._within}{name} asks for")

    def _get(self, name: str, kind: type, default: Any) -> Any:
        value = self.members.get(name)
        if value is None:
            if default is ...:
                raise invalid(f"Missing required field: {self._within}{name}")
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._malformed(name, KINDS[kind])
        return value

    def _malformed(self, name: str, wanted: str) -> DatabricksError:
        message = f"Could not parse request object: {self._within}{name} must be {wanted}."
        return DatabricksError(400, "MALFORMED_REQUEST", message)


@dataclass(frozen=True)
class Call:
    """An authenticated request to a workspace; ``sent`` is what it says, in its body or in its query."""

    workspaces: Workspaces
    request: Request
    workspace: Resource
    principal: Principal
    params: Mapping[str, str]
    sent: Fields

    @property
    def user(self) -> str:
        """What the caller is called: a service principal is by its application's id."""
        return self.principal.client_id

    @property
    def files(self) -> FileTree:
        """The workspace's notebooks and files; each user has a folder there, and all have one in common."""
        tree = self.workspaces.files(self.workspace)
        for path in ("/Shared", f"/Users/{self.user}"):
            tree.at(path).mkdir(parents=True, exist_ok=True)
        return tree

    @property
    def dbfs(self) -> FileTree:
        """The workspace's DBFS."""
        tree = self.workspaces.dbfs(self.workspace)
        tree.root.mkdir(parents=True, exist_ok=True)
        return tree


Handler = Callable[[Call], Awaitable[Response]]
ApiRoutes = Routes[Handler]


def done(answer: Mapping[str, Any] | None = None) -> Response:
    """Return an answer of success, without the members that are not known."""
    return JSONResponse({name: value for name, value in (answer or {}).items() if value is not None})
