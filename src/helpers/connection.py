"""Connecting to a workspace: on this machine, or on Azure."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

BACKENDS = ("local", "azure")
LOCAL_MARK = "AZUREML_LOCAL_PROXY"


def connect(backend: str = "local") -> MLClient:
    """Return a client for the workspace that the lessons work in.

    Args:
        backend: ``"local"`` starts the Azure ML of this machine unless it runs, and points this process at it;
            ``"azure"`` reads the workspace from ``config.json`` (in this folder or above it) and signs in with what
            ``DefaultAzureCredential`` finds: environment variables, a managed identity, the Azure CLI, ...

    Raises:
        ValueError: another backend was named.
        RuntimeError: this process is pointed at the local service already, and Azure was asked for.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend is {backend!r}; it must be "local" or "azure".')
    if backend == "azure":
        return _connect_to_azure()
    return _connect_to_this_machine()


def _connect_to_this_machine() -> MLClient:
    from azureml_local import client_environment, daemon
    from azureml_local.home import Home

    home = Home()
    if daemon.find(home) is None:
        print("Starting Azure ML on this machine (about 3 seconds) ...", file=sys.stderr)
    running = daemon.start(home)
    settings = home.settings()
    # For this process and what it starts; nothing on the machine is changed.
    os.environ.update(client_environment.complete(settings, running.port, home, os.environ))

    # Imported only now: the SDK reads some of these variables as it is imported.
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    return MLClient(
        EnvironmentCredential(),
        settings.subscription_id,
        settings.resource_group,
        settings.workspace,
        enable_telemetry=False,
    )


def _connect_to_azure() -> MLClient:
    if os.environ.get(LOCAL_MARK):
        raise RuntimeError(
            "This Python process talks to the Azure ML of this machine already. Restart the kernel (or open a new "
            'shell), then connect("azure") first.'
        )
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    return MLClient.from_config(DefaultAzureCredential(), enable_telemetry=False)
