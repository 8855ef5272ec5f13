"""Which of Azure's hosts is answered here, and by which application.

The table is the only place that knows host names: the proxy, the certificate authority and the client settings are
derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping

# A leading dot: every host below that domain.
SERVED: Mapping[str, str] = {
    "management.azure.com": "arm",
    "login.microsoftonline.com": "entra",
    ".api.azureml.ms": "workspace_api",
    ".inference.ml.azure.com": "scoring",
    ".blob.core.windows.net": "storage",
    "api.loganalytics.io": "log_queries",
    "api.loganalytics.azure.com": "log_queries",
    ".vault.azure.net": "key_vault",
    ".azuredatabricks.net": "databricks",
    "dc.services.visualstudio.com": "telemetry",
    ".in.applicationinsights.azure.com": "telemetry",
}

# Azure's own domains: a host below them that SERVED lacks is refused by name, never looked up in the real Azure,
# where a request meant for this machine could create something that costs money.
AZURE = (
    ".azure.com",
    ".azure.net",
    ".azureml.ms",
    ".azureml.net",
    ".loganalytics.io",
    ".microsoftonline.com",
    ".windows.net",
    ".azurecr.io",
    ".azuredatabricks.net",
    # sovereign clouds
    ".usgovcloudapi.net",
    ".azure.us",
    ".microsoftonline.us",
    ".chinacloudapi.cn",
    ".azure.cn",
)


def application_of(host: str) -> str | None:
    """Return the name of the application that serves ``host``, or None if it is not served here."""
    exact = SERVED.get(host)
    if exact:
        return exact
    return next((app for suffix, app in SERVED.items() if suffix[0] == "." and host.endswith(suffix)), None)


def workspace_host(region: str) -> str:
    """Return the host of the workspaces' API in a region."""
    return f"{region}.api.azureml.ms"


def is_azure(host: str) -> bool:
    """Say whether ``host`` belongs to Azure."""
    return host.endswith(AZURE)


def certificate_name(host: str) -> str:
    """Return the name to certify for a served ``host``: itself, or the wildcard over its first label."""
    return host if host in SERVED else "*." + host.partition(".")[2]


def domains() -> tuple[str, ...]:
    """Return the DNS subtrees that the certificate authority needs."""
    return tuple(suffix.lstrip(".") for suffix in SERVED)
