"""Plain questions to Azure Resource Manager: no client of the workbook's has all of these, and each is one GET."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import requests

from helpers.credentials import RESOURCE_MANAGER, resource_manager_token

SECONDS = 60
MACHINE_LEARNING, RESOURCES, AUTHORIZATION = "2024-10-01", "2021-04-01", "2022-04-01"
# What says in a token who it is for, best first: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
WHO = ("upn", "unique_name", "preferred_username", "app_displayname", "appid", "oid")


class Refused(Exception):  # noqa: N818 - a refusal is an answer, and here often the one that is looked for
    """Azure's answer is an error; ``status`` and ``code`` are Azure's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class ResourceManager:
    """Asks about one workspace, and what it lies in."""

    def __init__(self, subscription: str, group: str, workspace: str) -> None:
        self.subscription = f"/subscriptions/{subscription}"
        self.group = f"{self.subscription}/resourceGroups/{group}"
        self.workspace = f"{self.group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        self._session = requests.Session()

    def location(self) -> str:
        """Return the workspace's region, such as ``westeurope``. Raises Refused where it cannot be reached."""
        return str(self._get(self.workspace, MACHINE_LEARNING)["location"])

    def providers(self) -> dict[str, str]:
        """Return the registration states of the subscription's providers, by their namespaces in lower case."""
        listed = self._list(f"{self.subscription}/providers", RESOURCES)
        return {one["namespace"].lower(): one["registrationState"] for one in listed}

    def permissions(self, scope: str) -> list[dict[str, list[str]]]:
        """Return what the caller may do at a scope: what each of their roles permits and takes away."""
        return list(self._list(f"{scope}/providers/Microsoft.Authorization/permissions", AUTHORIZATION))

    def sizes(self, location: str) -> dict[str, dict[str, Any]]:
        """Return the VM sizes that Azure ML has in a region, by their names in lower case."""
        return {one["name"].lower(): one for one in self._list(self._of(location, "vmSizes"), MACHINE_LEARNING)}

    def limits(self, location: str) -> list[dict[str, Any]]:
        """Return a region's limits, each with what is used of it: Azure's ``Usage``.

        A workspace that uses nothing of a family is not among Azure's usages, even where it has a limit of its own.
        """
        usages = list(self._list(self._of(location, "usages"), MACHINE_LEARNING))
        used = {(one["id"].lower().rpartition("/usages/")[0], one["name"]["value"]) for one in usages}
        for quota in self._list(self._of(location, "quotas"), MACHINE_LEARNING):
            scope, _, name = quota["id"].partition("/quotas/")
            if "/workspaces/" in scope.lower() and (scope.lower(), quota["name"]["value"]) not in used:
                usages.append({**quota, "id": f"{scope}/usages/{name}", "currentValue": 0})
        return usages

    def _of(self, location: str, what: str) -> str:
        return f"{self.subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/{what}"

    def _list(self, path: str, version: str) -> Iterator[dict[str, Any]]:
        page = self._get(path, version)
        yield from page["value"]
        while link := page.get("nextLink"):
            page = self._answer(link, {})
            yield from page["value"]

    def _get(self, path: str, version: str) -> dict[str, Any]:
        return self._answer(RESOURCE_MANAGER + path, {"api-version": version})

    def _answer(self, url: str, parameters: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {resource_manager_token()}"}
        response = self._session.get(url, params=parameters, headers=headers, timeout=SECONDS)
        if response.ok:
            answer: dict[str, Any] = response.json()
            return answer
        try:
            error = response.json()["error"]
            raise Refused(response.status_code, error["code"], error["message"])
        except (ValueError, KeyError, TypeError):
            raise Refused(response.status_code, response.reason, response.text[:200]) from None


def signed_in_as() -> str:
    """Return the name, or else the id, of whom this process is signed in as: what the token says, which Azure checks.

    Raises azure.core.exceptions.ClientAuthenticationError where nobody is.
    """
    payload = resource_manager_token().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(next((claims[name] for name in WHO if claims.get(name)), "unknown"))
