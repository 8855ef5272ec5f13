"""Reads the secrets that deployments name in their environment variables, as the identity of their endpoint.

https://learn.microsoft.com/azure/machine-learning/concept-secret-injection
"""

from __future__ import annotations

import re

from azureml_local.dataplane.vault_secrets import VaultSecrets
from azureml_local.engines.secret_references import SecretReferenceError
from azureml_local.http.errors import AzureError
from azureml_local.identity.directory import managed
from azureml_local.identity.endpoint_identity import EndpointIdentity, NoIdentityError
from azureml_local.store import Store

IN_VAULT = re.compile(r"keyvault:https://([A-Za-z0-9.-]+)/secrets/([^/]+)(?:/([^/]+))?/?")
FORM = "keyvault:https://<vault>.vault.azure.net/secrets/<name>/<version>"


class SecretInjection:
    """Reads secrets for deployments.

    Args:
        store: the endpoints.
        identities: says as whom an endpoint reads.
        secrets: what is in vaults.
    """

    def __init__(self, store: Store, identities: EndpointIdentity, secrets: VaultSecrets) -> None:
        self._store = store
        self._identities = identities
        self._secrets = secrets

    def read(self, deployment_id: str, reference: str) -> str:
        """Return the secret that a deployment names by ``reference``, what stands between ``${{`` and ``}}``.

        Raises:
            SecretReferenceError: it is no reference, there is no such secret, or the endpoint may not read it.
        """
        found = IN_VAULT.fullmatch(reference)
        if reference.startswith("azureml:"):
            raise SecretReferenceError("azureml-local lacks workspace connections; use a secret in a key vault.")
        if found is None:
            raise SecretReferenceError(f"this is no reference to a secret; it must read {FORM}.")
        host, name, version = found.groups()
        endpoint = self._store.get(deployment_id.rpartition("/deployments/")[0])
        if endpoint is None:
            raise SecretReferenceError("the endpoint was deleted.")
        try:
            identity = managed(self._identities.identity(endpoint, {}))
            vault = self._secrets.vault_at(host)
            if not vault.properties["enableRbacAuthorization"]:
                message = (
                    f"the key vault {vault.name} uses access policies. Secret injection needs one that uses roles: "
                )
                raise SecretReferenceError(message + "enable_rbac_authorization=True.")
            self._secrets.require(identity, vault, "get", name)
            return self._secrets.value(self._secrets.version(self._secrets.live(vault, name), version))
        except NoIdentityError as error:
            raise SecretReferenceError(f"{error}.") from error
        except AzureError as error:
            raise SecretReferenceError(f"({error.code}) {error.message.strip()}") from error
