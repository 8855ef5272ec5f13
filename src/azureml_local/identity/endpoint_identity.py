"""The managed identity endpoint of online deployments: their processes get tokens of their own endpoint's identities.

Azure ML's containers have ``MSI_ENDPOINT`` and ``MSI_SECRET``, which azure-identity's ``ManagedIdentityCredential``
finds (https://learn.microsoft.com/azure/machine-learning/how-to-access-resources-from-endpoints-managed-identities,
"Scoring script to access Azure resource"; its requests: azure-identity, ``_credentials/azure_ml.py``).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from azureml_local.identity import audiences
from azureml_local.identity.directory import SYSTEM_ASSIGNED, managed
from azureml_local.identity.managed_identity import granted, refusal
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Resource, Store

PATH = "/msi/endpoint/token"
# Seconds. https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identity-best-practice-recommendations#limitation-of-using-managed-identities-for-authorization
LIFETIME = 24 * 3600
# What of an identity each parameter of a request names it by; of 2017-09-01 it is clientid, of others client_id.
SELECTORS: Mapping[str, Callable[[Resource], str]] = {
    "clientid": lambda identity: managed(identity).client_id,
    "client_id": lambda identity: managed(identity).client_id,
    "object_id": lambda identity: managed(identity).object_id,
    "principal_id": lambda identity: managed(identity).object_id,
    "msi_res_id": lambda identity: identity.id,
    "mi_res_id": lambda identity: identity.id,
}


class NoIdentityError(Exception):
    """An endpoint does not have the identity that is asked for; the message says why, in the words of Azure's IMDS."""


class EndpointIdentity:
    """Gives the instances of online endpoints their secrets, and tokens for these.

    A secret is known to the processes of one endpoint alone, and worth nothing once that was deleted. It lasts as long
    as the service runs, as they do.

    Args:
        store: the endpoints, with their identities.
        tokens: issues tokens.
    """

    def __init__(self, store: Store, tokens: TokenService) -> None:
        self._store = store
        self._tokens = tokens
        self._secrets: dict[tuple[str, int], str] = {}  # by the endpoints' keys and sequences: one may come again

    def variables(self, endpoint_id: str, port: int) -> dict[str, str]:
        """Return what an instance finds in its environment; nothing where its endpoint has no identity."""
        endpoint = self._store.get(endpoint_id)
        if endpoint is None or endpoint.body["identity"]["type"] == "None":
            return {}
        secret = self._secrets.setdefault((endpoint.key, endpoint.sequence), secrets.token_urlsafe(30))
        return {"MSI_ENDPOINT": f"http://127.0.0.1:{port}{PATH}", "MSI_SECRET": secret}

    def route(self) -> Route:
        """Return the route of :meth:`token`."""
        return Route(PATH, self.token)

    async def token(self, request: Request) -> Response:
        """Answer with a token of an identity of the endpoint whose secret the caller has."""
        endpoint = self._endpoint_of(request.headers.get("secret", ""))
        if endpoint is None:
            return refusal(401, "unauthorized", "The secret header is missing or wrong.")
        resource = request.query_params.get("resource", "")
        if not audiences.is_known(resource):
            return refusal(400, "invalid_resource", f"The resource '{resource}' is not known here.")
        try:
            identity = managed(self.identity(endpoint, request.query_params))
        except NoIdentityError as error:
            return refusal(400, "invalid_request", str(error))
        return granted(identity, resource, *self._tokens.issue(identity, resource, LIFETIME))

    def _endpoint_of(self, secret: str) -> Resource | None:
        """Return the endpoint that a secret is of, in a time that tells nothing about the others'."""
        sent = secret.encode()
        found = [endpoint for endpoint, own in self._secrets.items() if hmac.compare_digest(own.encode(), sent)]
        endpoint = self._store.get(found[0][0]) if found else None
        return endpoint if endpoint and endpoint.sequence == found[0][1] else None

    def identity(self, endpoint: Resource, asked: Mapping[str, str]) -> Resource:
        """Return the one of an endpoint's identities that is asked for; without a choice its own, or its only one.

        https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identities-faq#what-identity-will-imds-default-to-if-i-dont-specify-the-identity-in-the-request

        Raises:
            NoIdentityError: it has no such identity, or several to choose from.
        """
        own = self._store.children(SYSTEM_ASSIGNED, endpoint.id)
        assigned = (endpoint.body.get("identity") or {}).get("userAssignedIdentities") or {}
        identities = own + [found for found in map(self._store.get, assigned) if found]
        for name, value_of in SELECTORS.items():
            if asked.get(name):
                identities = [one for one in identities if value_of(one).lower() == asked[name].lower()]
                own = []
        if not identities:
            raise NoIdentityError("Identity not found")
        if len(identities) > 1 and not own:
            raise NoIdentityError(
                "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in "
                "the token request"
            )
        return identities[0]
