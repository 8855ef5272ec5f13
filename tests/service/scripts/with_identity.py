"""Asks Azure for what a request names, as the endpoint's identity; the errors of Azure's clients are raised."""

import json
import os
import signal
from typing import Any

import requests
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobClient


def init() -> None:
    """Do what the deployment says is to be done first."""
    if "IN_INIT" in os.environ:
        run(os.environ["IN_INIT"])


def run(raw_data: str) -> Any:
    asked = json.loads(raw_data)
    return ACTIONS[asked.pop("do")](asked)


def token(asked: dict[str, Any]) -> str:
    return credential(asked).get_token(asked["scope"]).token


def token_by_rest(asked: dict[str, Any]) -> list[Any]:
    """As in score_managedidentity.py of azureml-examples."""
    parameters = {"resource": asked["resource"], **asked.get("parameters", {})}
    headers = {"secret": asked.get("secret", os.environ["MSI_SECRET"]), "Metadata": "true"}
    answer = requests.get(os.environ["MSI_ENDPOINT"], params=parameters, headers=headers, timeout=30)
    return [answer.status_code, answer.json()]


def read_blob(asked: dict[str, Any]) -> str:
    return BlobClient.from_blob_url(asked["url"], credential=credential(asked)).download_blob().readall().decode()


def read_secret(asked: dict[str, Any]) -> str | None:
    return SecretClient(asked["vault"], credential(asked)).get_secret(asked["name"]).value


def variable(asked: dict[str, Any]) -> str:
    return os.environ.get(asked["name"], "(absent)")


def leave(asked: dict[str, Any]) -> None:
    os.kill(os.getppid(), signal.SIGKILL)  # the server, of which this is a worker


def credential(asked: dict[str, Any]) -> Any:
    if "client_id" in asked:
        return ManagedIdentityCredential(client_id=asked["client_id"])
    return DefaultAzureCredential()


ACTIONS = {
    "token": token,
    "token by REST": token_by_rest,
    "read blob": read_blob,
    "read secret": read_secret,
    "variable": variable,
    "exit": leave,
}
