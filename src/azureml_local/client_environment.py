"""The environment variables that make a program's Azure clients talk to a service on this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import certifi

from azureml_local.home import Home, Settings, write_private

# Names the proxy that is ours, so that a service that is started from such an environment does not take it for the
# user's own.
MARK = "AZUREML_LOCAL_PROXY"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def network(port: int, home: Home, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that lead clients to the service's proxy and let them trust its certificates.

    Args:
        port: the service's port.
        home: its state folder.
        base: the environment that they are to be merged with: its own certificate bundle stays trusted, its hosts
            without proxy stay without.
    """
    proxy = f"http://127.0.0.1:{port}"
    bundle = str(_bundle(home, base))
    without_proxy = [name for name in (base.get("NO_PROXY") or base.get("no_proxy") or "").split(",") if name]
    without_proxy += [name for name in LOOPBACK_NAMES if name not in without_proxy]
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,  # Python prefers the lower-case name where both are set
        "NO_PROXY": ",".join(without_proxy),
        "no_proxy": ",".join(without_proxy),
        "REQUESTS_CA_BUNDLE": bundle,  # requests, azure-core
        "SSL_CERT_FILE": bundle,  # urllib, httpx, OpenSSL
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(home.tls / "ca.pem"),
        "NODE_USE_ENV_PROXY": "1",
        MARK: proxy,
    }


def complete(settings: Settings, port: int, home: Home, base: Mapping[str, str]) -> dict[str, str]:
    """Return :func:`network` and the credentials that azure-identity reads, a secret among them."""
    return {
        **network(port, home, base),
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_CLIENT_SECRET": settings.client_secret,
        # Job logs are streamed as they come; on Azure the client waits up to a minute between two looks.
        "AZUREML_RUN_POLLING_INTERVAL_MIN": "0",
        "AZUREML_RUN_POLLING_INTERVAL_MAX": "0",
    }


def as_shell(variables: Mapping[str, str]) -> str:
    """Return lines that a POSIX shell evaluates."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def is_set(environment: Mapping[str, str]) -> bool:
    """Say whether ``environment`` leads clients to a service on this machine."""
    return MARK in environment and environment.get("HTTPS_PROXY") == environment[MARK]


def _bundle(home: Home, base: Mapping[str, str]) -> Path:
    """Write and return a bundle of our authority and those that the caller trusts already."""
    bundle = home.tls / "ca-bundle.pem"
    trusted = base.get("REQUESTS_CA_BUNDLE") or base.get("SSL_CERT_FILE") or base.get("CURL_CA_BUNDLE") or ""
    if not trusted or not os.path.isfile(trusted) or Path(trusted).name == bundle.name:  # noqa: PTH113
        trusted = certifi.where()
    content = Path(trusted).read_text().rstrip("\n") + "\n" + (home.tls / "ca.pem").read_text()
    if not bundle.exists() or bundle.read_text() != content:
        write_private(bundle, content)
    return bundle
