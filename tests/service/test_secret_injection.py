"""Secrets of key vaults in the environment variables of deployments.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoint-with-secret-injection, and
how-to-troubleshoot-online-endpoints#error-secretsinjectionerror.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import Vault
from support import Arm, Scorer, deploy, finish, quick_session

from running_service import RunningService, wait_for

SECRETS_USER, SECRETS_OFFICER = "4633458b-17de-408a-b874-0445c86b69e6", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
VALUE = "a secret that is written down nowhere else"


@pytest.fixture(scope="module")
def vault(credential: ClientSecretCredential, service: RunningService, arm: Arm) -> Iterator[Vault]:
    """A vault that uses roles, with a secret ``injected`` of two versions."""
    settings = service.settings
    vaults = KeyVaultManagementClient(credential, settings.subscription_id)
    properties = {
        "tenantId": settings.tenant_id,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
    }
    name = "v" + uuid.uuid4().hex[:12]
    body = {"location": "eastus", "properties": properties}
    made = finish(vaults.vaults.begin_create_or_update(settings.resource_group, name, body))
    give(arm, str(made.id), SECRETS_OFFICER, settings.client_object_id)
    yield made
    vaults.vaults.delete(settings.resource_group, name)
    finish(vaults.vaults.begin_purge_deleted(name, "eastus"))


@pytest.fixture(scope="module")
def secrets(vault: Vault, credential: ClientSecretCredential) -> SecretClient:
    return SecretClient(vault.properties.vault_uri, credential)


@pytest.fixture(scope="module")
def versions(secrets: SecretClient) -> tuple[str, str]:
    """The ids of an older version and of the newest one."""
    old, new = secrets.set_secret("injected", "older"), secrets.set_secret("injected", VALUE)
    return str(old.id), str(new.id)


@pytest.fixture(scope="module")
def tiny(ml: MLClient) -> Environment:
    image = "mcr.microsoft.com/azureml/minimal-py311-inference"
    return ml.environments.create_or_update(Environment(name="tiny", image=image))


@pytest.fixture(scope="module")
def endpoint(ml: MLClient) -> Iterator[ManagedOnlineEndpoint]:
    name = "e" + uuid.uuid4().hex[:10]
    yield finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    finish(ml.online_endpoints.begin_delete(name))


Deploy = Callable[..., None]


@pytest.fixture
def deployed_with(ml: MLClient, endpoint: ManagedOnlineEndpoint, tiny: Environment) -> Iterator[Deploy]:
    """Deploy with some environment variables; what was made is deleted."""
    made = set()

    def create(name: str, **variables: str) -> None:
        made.add(name)
        options = {"environment": tiny, "script": "with_identity.py", "environment_variables": variables}
        finish(deploy(ml, endpoint.name, name, **options))  # type: ignore[arg-type]

    yield create
    for name in made:
        finish(ml.online_deployments.begin_delete(name=name, endpoint_name=endpoint.name))


@pytest.fixture
def scorer(ml: MLClient, endpoint: ManagedOnlineEndpoint) -> Iterator[Scorer]:
    with quick_session() as session:
        yield Scorer(session, endpoint.scoring_uri, ml.online_endpoints.get_keys(endpoint.name).primary_key)


def give(arm: Arm, scope: str, role: str, object_id: str) -> str:
    definition = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    answer = arm.put(path, {"properties": {"roleDefinitionId": definition, "principalId": object_id}})
    assert answer.status_code == 201, answer.text
    return path


@pytest.fixture
def reads(vault: Vault, endpoint: ManagedOnlineEndpoint, arm: Arm) -> Iterator[None]:
    """The endpoint's identity may read the vault's secrets."""
    assignment = give(arm, str(vault.id), SECRETS_USER, endpoint.identity.principal_id)
    yield
    arm.request("DELETE", assignment)


def content(path: Path) -> bytes:
    """Return what is in a file of the service's, nothing where it has been deleted meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


@pytest.mark.slow
def test_secrets_are_there_when_the_script_starts_and_nowhere_else(
    ml: MLClient,
    reads: None,
    deployed_with: Deploy,
    endpoint: ManagedOnlineEndpoint,
    versions: tuple[str, str],
    scorer: Scorer,
    service: RunningService,
) -> None:
    old, new = versions
    newest = new.rpartition("/")[0]
    asked = {"OLD": f"${{{{keyvault:{old}}}}}", "NEW": f"${{{{keyvault:{newest}}}}}", "PLAIN": "${{other}} text"}
    deployed_with("blue", **asked)
    for name, value in {"OLD": "older", "NEW": VALUE, "PLAIN": "${{other}} text"}.items():
        answer = scorer.post({"do": "variable", "name": name}, deployment="blue")
        assert answer.json() == value
    shown = ml.online_deployments.get("blue", endpoint.name).environment_variables
    assert {name: shown[name] for name in asked} == asked
    kept = [path for path in service.home.root.rglob("*") if path.is_file() and not path.name.startswith("state.db")]
    assert [path for path in kept if VALUE.encode() in content(path)] == []


def test_instance_that_is_replaced_reads_its_secrets_again(
    reads: None, deployed_with: Deploy, secrets: SecretClient, scorer: Scorer
) -> None:
    secret = secrets.set_secret("changing", "first")
    newest = str(secret.id).rpartition("/")[0]
    deployed_with("green", CHANGING=f"${{{{keyvault:{newest}}}}}")
    secrets.set_secret("changing", "second")

    def value() -> str:
        answer = scorer.post({"do": "variable", "name": "CHANGING"}, deployment="green")
        return str(answer.json()) if answer.status_code == 200 else ""

    assert value() == "first"
    scorer.post({"do": "exit"}, deployment="green")
    wait_for(lambda: value() == "second")


def test_deploying_once_more_reads_secrets_again(
    reads: None, deployed_with: Deploy, secrets: SecretClient, scorer: Scorer
) -> None:
    newest = str(secrets.set_secret("rotated", "leaked").id).rpartition("/")[0]
    for value in ("leaked", "fresh"):
        secrets.set_secret("rotated", value)
        deployed_with("green", ROTATED=f"${{{{keyvault:{newest}}}}}")
        assert scorer.post({"do": "variable", "name": "ROTATED"}, deployment="green").json() == value


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("keyvault:{vault}secrets/absent/1", "A secret with (name/id) absent was not found in this key vault"),
        ("keyvault:{vault}secrets/injected/0123", "injected/0123 was not found in this key vault"),
        ("keyvault:{vault}keys/k/1", "it must read keyvault:https://<vault>.vault.azure.net/secrets/<name>/<version>"),
        ("keyvault:https://nowhere0.vault.azure.net/secrets/s/1", "There is no key vault 'nowhere0'"),
        ("azureml://connections/c/credentials/key", "azureml-local lacks workspace connections"),
    ],
)
def test_reference_that_leads_nowhere(
    reference: str,
    why: str,
    reads: None,
    deployed_with: Deploy,
    versions: tuple[str, str],
    vault: Vault,
    ml: MLClient,
    endpoint: ManagedOnlineEndpoint,
) -> None:
    reference = reference.format(vault=vault.properties.vault_uri)
    with pytest.raises(HttpResponseError, match="SecretsInjectionError") as refused:
        deployed_with("red", S=f"${{{{{reference}}}}}")
    assert f"the environment variable S names {reference}: " in str(refused.value)
    assert why in str(refused.value)
    assert ml.online_deployments.get("red", endpoint.name).provisioning_state == "Failed"


def test_identity_that_may_not_read(
    deployed_with: Deploy, endpoint: ManagedOnlineEndpoint, versions: tuple[str, str]
) -> None:
    with pytest.raises(HttpResponseError, match="SecretsInjectionError") as refused:
        deployed_with("red", S=f"${{{{keyvault:{versions[0]}}}}}")
    assert f"oid={endpoint.identity.principal_id};" in str(refused.value)
    assert "Microsoft.KeyVault/vaults/secrets/getSecret/action" in str(refused.value)


def test_vault_with_access_policies(
    ml: MLClient, deployed_with: Deploy, service: RunningService, credential: ClientSecretCredential
) -> None:
    """ "you must configure the key vault's permission model as Azure role-based access control"."""
    uri = ml.workspaces.get(service.settings.workspace).key_vault.rpartition("/")[2]
    with pytest.raises(HttpResponseError, match="Secret injection needs one that uses roles"):
        deployed_with("red", S=f"${{{{keyvault:https://{uri}.vault.azure.net/secrets/s/1}}}}")


def test_deleted_secret(reads: None, deployed_with: Deploy, secrets: SecretClient, scorer: Scorer) -> None:
    """What serves goes on; what is deployed from now on fails."""
    secret = secrets.set_secret("short-lived", "v")
    reference = f"${{{{keyvault:{secret.id}}}}}"
    deployed_with("blue", S=reference)
    secrets.begin_delete_secret("short-lived").wait()
    assert scorer.post({"do": "variable", "name": "S"}, deployment="blue").json() == "v"
    with pytest.raises(HttpResponseError, match="short-lived was not found in this key vault"):
        deployed_with("red", S=reference)
