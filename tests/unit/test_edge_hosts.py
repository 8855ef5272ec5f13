"""azureml_local.edge.hosts: which hosts are answered here (design.md, "edge")."""

import pytest

from azureml_local.edge import hosts


@pytest.mark.parametrize(
    ("host", "application"),
    [
        ("management.azure.com", "arm"),
        ("login.microsoftonline.com", "entra"),
        ("eastus.api.azureml.ms", "workspace_api"),
        ("ep.eastus.inference.ml.azure.com", "scoring"),
        ("account.blob.core.windows.net", "storage"),
        ("dc.services.visualstudio.com", "telemetry"),
        ("eastus-1.in.applicationinsights.azure.com", "telemetry"),
        ("api.azureml.ms", None),
        ("evilmanagement.azure.com", None),
        ("management.azure.com.evil.example", None),
        ("xapi.azureml.ms", None),
        ("account.queue.core.windows.net", None),
        ("packages.example", None),
        ("", None),
    ],
)
def test_application(host: str, application: str | None) -> None:
    assert hosts.application_of(host) == application


@pytest.mark.parametrize(
    "host", ["x.queue.core.windows.net", "graph.windows.net", "management.azure.com", "r.azurecr.io"]
)
def test_hosts_of_azure(host: str) -> None:
    assert hosts.is_azure(host)


@pytest.mark.parametrize("host", ["packages.example", "notazure.com", "azure.com.example.org", "conda.anaconda.org"])
def test_hosts_of_others(host: str) -> None:
    assert not hosts.is_azure(host)


@pytest.mark.parametrize("served", list(hosts.SERVED))
def test_served_hosts_have_a_certificate_within_the_authoritys_domains(served: str) -> None:
    host = "a" + served if served.startswith(".") else served
    name = hosts.certificate_name(host)
    assert name in (host, "*." + host.partition(".")[2])
    assert any(host == domain or host.endswith("." + domain) for domain in hosts.domains())
