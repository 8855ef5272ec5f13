"""The environment variables that make a program's Azure clients talk to a service on this machine."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import certifi

from azureml_local import certificate_folder, docker_host
from azureml_local.edge import hosts
from azureml_local.home import Home, Settings, write_private
from azureml_local.identity import managed_identity

# Names the proxy that is ours, so that a service that is started from such an environment does not take it for the
# user's own.
MARK = "AZUREML_LOCAL_PROXY"
# Carries the user's own proxy along, which HTTPS_PROXY no longer names.
UPSTREAM = "AZUREML_LOCAL_UPSTREAM_PROXY"
# Ends, in a bundle of ours, the authorities that the user trusts; after it comes our own.
OURS = "# azureml-local's own authority\n"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def network(port: int, home: Home, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that lead clients to the service's proxy and let them trust its certificates.

    Args:
        port: the service's port.
        home: its state folder.
        base: the environment that they are to be merged with: its own certificate bundle stays trusted, its hosts
            without proxy stay without.
    """
    return through(f"http://127.0.0.1:{port}", home.tls / "ca.pem", base)


def through(proxy: str, authority: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return :func:`network` for a proxy that is reached at ``proxy``.

    Args:
        proxy: its address, ``http://HOST:PORT``.
        authority: the file with the certificate of its authority; bundles with it are written beside it.
        base: as above.
    """
    bundle = str(_bundle(authority, base))
    without_proxy = [name.strip() for name in (base.get("NO_PROXY") or base.get("no_proxy") or "").split(",")]
    without_proxy = [name for name in without_proxy if name and not _covers_azure(name)]
    without_proxy += [name for name in LOOPBACK_NAMES if name not in without_proxy]
    upstream = users_own_proxy(base)
    return {
        **({UPSTREAM: upstream} if upstream else {}),
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,  # Python prefers the lower-case name where both are set
        "NO_PROXY": ",".join(without_proxy),
        "no_proxy": ",".join(without_proxy),
        "REQUESTS_CA_BUNDLE": bundle,  # requests, azure-core
        "SSL_CERT_FILE": bundle,  # urllib, httpx, OpenSSL
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(authority),
        "NODE_USE_ENV_PROXY": "1",
        MARK: proxy,
    }


def complete(settings: Settings, port: int, home: Home, base: Mapping[str, str]) -> dict[str, str]:
    """Return :func:`network`, what leads Docker's clients to an engine, and the credentials that azure-identity reads.

    There is a secret among these.
    """
    return {
        **network(port, home, base),
        **docker_host.variables(home.docker_socket, base),
        "AZUREML_CURRENT_CLOUD": "AzureCloud",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_CLIENT_SECRET": settings.client_secret,
        # The same identity for programs that ask for a managed one.
        "IDENTITY_ENDPOINT": f"http://127.0.0.1:{port}{managed_identity.PATH}",
        "IDENTITY_HEADER": settings.identity_header,
        # Job logs are streamed as they come; on Azure the client waits up to a minute between two looks.
        "AZUREML_RUN_POLLING_INTERVAL_MIN": "0",
        "AZUREML_RUN_POLLING_INTERVAL_MAX": "0",
    }


def with_folder(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables of :func:`network` with which requests, and so Azure's clients, connect in less time.

    It finds the authorities in a folder. Not all that reads ``REQUESTS_CA_BUNDLE`` takes one (boto3 does not): this is
    for programs whose packages are known.
    """
    return {**variables, "REQUESTS_CA_BUNDLE": str(certificate_folder.folder_of(Path(variables["REQUESTS_CA_BUNDLE"])))}


def as_shell(variables: Mapping[str, str]) -> str:
    """Return lines that a POSIX shell evaluates."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _covers_azure(name: str) -> bool:
    """Say whether a name of NO_PROXY would let calls past the service, to the real Azure."""
    domain = name.lstrip("*.").lower()
    return not domain or any(
        host == domain or host.endswith(f".{domain}") or domain.endswith(host if host[0] == "." else f".{host}")
        for host in (*hosts.SERVED, *hosts.AZURE)
    )


def users_own_proxy(environment: Mapping[str, str]) -> str | None:
    """Return the HTTPS proxy that the user has set, which is not a service's; None where there is none."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        proxy = environment.get(name)
        if proxy and proxy != environment.get(MARK):
            return proxy if "://" in proxy else f"http://{proxy}"
    return environment.get(UPSTREAM) or None


def _bundle(authority: Path, base: Mapping[str, str]) -> Path:
    """Return a bundle of our authority and those that the caller trusts already, written where it is missing.

    Callers that trust different authorities get different files, so that none changes under another.
    """
    trusted = base.get("REQUESTS_CA_BUNDLE") or base.get("SSL_CERT_FILE") or base.get("CURL_CA_BUNDLE") or ""
    if os.path.isdir(trusted):  # noqa: PTH112 - as below
        trusted = str(Path(trusted) / certificate_folder.BUNDLE)
    if not os.path.isfile(trusted):  # noqa: PTH113 - Path("") would be the current folder
        trusted = certifi.where()
    users = Path(trusted).read_text().partition(OURS)[0].rstrip("\n") + "\n"
    bundle = authority.parent / f"ca-bundle-{hashlib.sha256(users.encode()).hexdigest()[:8]}.pem"
    content = users + OURS + authority.read_text()
    if not bundle.exists() or bundle.read_text() != content:
        write_private(bundle, content)
    return bundle
