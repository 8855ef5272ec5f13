"""Who may score an endpoint: what a caller has to show, by the endpoint's authentication mode.

https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online-auth#data-plane-operations
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol

from azureml_local.identity import audiences
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.tokens import InvalidTokenError, Principal, TokenService
from azureml_local.store import Resource, Store

SCORE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
# The words of a router of Azure: https://github.com/MicrosoftLearning/mslearn-azure-ml/issues/115
NOT_PERMITTED = (
    "Microsoft Entra Token denied by policy, please review "
    "https://learn.microsoft.com/en-us/azure/machine-learning/how-to-authenticate-online-endpoint"
)


class AccessDeniedError(Exception):
    """The caller may not score; the message is what it is told.

    Those of keys: https://github.com/MicrosoftDocs/azure-docs/issues/98265.
    """


class Access(Protocol):
    """What an endpoint asks of its callers."""

    def admit(self, credential: bytes) -> Principal | None:
        """Return who is calling, or None where that cannot be told. Raises AccessDeniedError."""


@dataclass(frozen=True)
class KeyAccess:
    """``Key``: whoever has one of the endpoint's keys."""

    keys: tuple[bytes, ...]

    def admit(self, credential: bytes) -> None:
        """Raise AccessDeniedError unless the credential is one of the keys. A key says nothing of who has it."""
        if not any(hmac.compare_digest(credential, key) for key in self.keys):
            raise AccessDeniedError("key_auth_access_denied")


@dataclass(frozen=True)
class EndpointTokenAccess:
    """``AMLToken``: whoever has a token that was made for this endpoint, whoever fetched it; no role is needed."""

    tokens: TokenService
    audience: str

    def admit(self, credential: bytes) -> None:
        """Raise AccessDeniedError unless the credential is such a token."""
        _holder(self.tokens, credential, (self.audience,))


@dataclass(frozen=True)
class EntraAccess:
    """``AADToken``: who has a token of Entra's for Azure ML, and a role that grants to score this endpoint."""

    tokens: TokenService
    authorizer: Authorizer
    endpoint_id: str

    def admit(self, credential: bytes) -> Principal:
        """Return who is calling."""
        principal = _holder(self.tokens, credential, audiences.MACHINE_LEARNING)
        if not self.authorizer.permits(principal, SCORE, self.endpoint_id):
            raise AccessDeniedError(NOT_PERMITTED)
        return principal


def access_to(endpoint: Resource, store: Store, tokens: TokenService, authorizer: Authorizer) -> Access:
    """Return what an endpoint asks of its callers."""
    mode = endpoint.properties["authMode"]
    if mode == "Key":
        return KeyAccess(tuple(key.encode() for key in (store.get_secret(endpoint.id) or {}).values()))
    if mode == "AMLToken":
        return EndpointTokenAccess(tokens, audiences.of_online_endpoint(endpoint.id, endpoint.created_at))
    return EntraAccess(tokens, authorizer, endpoint.id)


def bearer_credential(authorization: bytes) -> bytes:
    """Return what an ``Authorization`` header holds. Raises AccessDeniedError where it is no ``Bearer`` one."""
    scheme, _, credential = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not credential:
        raise AccessDeniedError("key_auth_bad_header_forbidden")
    return credential.strip()


def _holder(tokens: TokenService, credential: bytes, allowed: tuple[str, ...]) -> Principal:
    try:
        return tokens.verify(credential.decode("latin-1"), allowed)
    except InvalidTokenError as error:
        raise AccessDeniedError(str(error)) from error
