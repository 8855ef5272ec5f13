"""azureml_local.client_environment: what a user has set stays in force (design.md, connect(): "merging an existing CA
bundle and upstream proxy"). Variables:
https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification,
https://docs.python.org/3/library/urllib.request.html (NO_PROXY), https://curl.se/docs/manpage.html."""

import datetime
import os
import shlex
import ssl
import stat
import subprocess
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from azureml_local import client_environment
from azureml_local.edge.tls import Authority
from azureml_local.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "h")
    made.tls.mkdir(parents=True)
    Authority(made.tls, ("a.example",))
    return made


@pytest.fixture
def companys(tmp_path: Path) -> Path:
    """A bundle with an authority that no other bundle has."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the company")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "company.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM).rstrip(b"\n"))  # no newline at its end
    return path


def authorities(bundle: str) -> set[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    names = set()
    for certificate in context.get_ca_certs():
        subject = {key: value for ((key, value),) in certificate["subject"]}  # type: ignore[misc, union-attr]
        names.add(str(subject.get("commonName")))
    return names


OURS = "azureml-local (this machine only)"


def test_public_authorities_and_ours(home: Home) -> None:
    found = authorities(client_environment.network(1, home, {})["REQUESTS_CA_BUNDLE"])
    assert found == authorities(certifi.where()) | {OURS}


def test_in_a_folder_the_same_are_trusted(home: Home, companys: Path) -> None:
    """Also when variables are made anew of an environment that has a folder already, as by a second connect()."""
    variables = client_environment.network(1, home, {"SSL_CERT_FILE": str(companys)})
    with_folder = client_environment.with_folder(variables)
    folder = Path(with_folder["REQUESTS_CA_BUNDLE"])
    assert folder.is_dir()
    assert authorities(str(folder / "bundle.pem")) == {"the company", OURS}
    assert {**with_folder, "REQUESTS_CA_BUNDLE": ""} == {**variables, "REQUESTS_CA_BUNDLE": ""}
    assert client_environment.with_folder(client_environment.network(1, home, with_folder)) == with_folder


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_users_bundle_stays_trusted(variable: str, home: Home, companys: Path) -> None:
    variables = client_environment.network(1, home, {variable: str(companys)})
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        assert {"the company", OURS} <= authorities(variables[name])


def test_bundle_that_is_not_there_is_no_reason_to_fail(home: Home, tmp_path: Path) -> None:
    variables = client_environment.network(1, home, {"REQUESTS_CA_BUNDLE": str(tmp_path / "absent")})
    assert OURS in authorities(variables["REQUESTS_CA_BUNDLE"])


def test_users_bundle_stays_trusted_when_the_variables_are_set_again(home: Home, companys: Path) -> None:
    """A second ``eval "$(azureml-local env)"`` in the same shell."""
    first = client_environment.network(1, home, {"REQUESTS_CA_BUNDLE": str(companys)})
    second = client_environment.network(1, home, first)
    assert "the company" in authorities(second["REQUESTS_CA_BUNDLE"])


def test_users_bundle_stays_trusted_when_others_ask(home: Home, companys: Path) -> None:
    """The service itself asks for each deployment's variables, from an environment without the company's bundle; a
    shell that was set up before goes on reading the file that it was given."""
    mine = client_environment.network(1, home, {"REQUESTS_CA_BUNDLE": str(companys)})
    client_environment.network(1, home, {})
    assert "the company" in authorities(mine["REQUESTS_CA_BUNDLE"])


def test_hosts_without_proxy_stay_without(home: Home) -> None:
    variables = client_environment.network(1, home, {"NO_PROXY": "corp.example, 10.0.0.0/8,localhost"})
    names = [name.strip() for name in variables["NO_PROXY"].split(",")]
    assert names[:2] == ["corp.example", "10.0.0.0/8"]
    assert set(names) >= {"localhost", "127.0.0.1", "::1"}
    assert len(names) == len(set(names))
    assert variables["no_proxy"] == variables["NO_PROXY"]
    assert client_environment.network(1, home, {"no_proxy": "a"})["NO_PROXY"].startswith("a,")
    again = client_environment.network(1, home, variables)
    assert again["NO_PROXY"] == variables["NO_PROXY"]


def test_both_cases_lead_to_the_service(home: Home) -> None:
    variables = client_environment.network(4321, home, {})
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://127.0.0.1:4321"


def test_secrets_are_for_users_and_not_for_deployments(tmp_path: Path) -> None:
    home = Home(tmp_path / "h")
    settings = home.create()
    Authority(home.tls, ("a.example",))
    assert client_environment.complete(settings, 1, home, {})["AZURE_CLIENT_SECRET"] == settings.client_secret
    assert settings.client_secret not in str(client_environment.network(1, home, {}))
    assert stat.S_IMODE(next(home.tls.glob("ca-bundle-*.pem")).stat().st_mode) == 0o600


def test_shell_lines_survive_any_value() -> None:
    value = "a 'b' \"c\" $HOME `id`\nd;e"
    lines = client_environment.as_shell({"VALUE": value})
    finished = subprocess.run(
        ["/bin/sh", "-c", f'{lines}\nprintf %s "$VALUE"'], capture_output=True, text=True, check=True, timeout=10
    )
    assert finished.stdout == value
    assert shlex.split(lines)[0] == "export"


# --- the user's own proxy (daemon) ---


def test_users_own_proxy() -> None:
    """The lower-case name first, as Python's urllib and curl do."""
    assert client_environment.users_own_proxy({}) is None
    assert client_environment.users_own_proxy({"HTTPS_PROXY": "http://p:1"}) == "http://p:1"
    assert (
        client_environment.users_own_proxy({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}) == "http://q:2"
    )
    assert client_environment.users_own_proxy({"HTTPS_PROXY": ""}) is None


def test_service_started_from_an_environment_of_ours_does_not_ask_itself(home: Home) -> None:
    variables = client_environment.network(1, home, {})
    assert client_environment.users_own_proxy(variables) is None
    lower_only = {name: value for name, value in variables.items() if name != "HTTPS_PROXY"}
    assert client_environment.users_own_proxy(lower_only) is None


def test_users_own_proxy_is_still_known_after_a_restart_from_such_an_environment(home: Home) -> None:
    """``eval "$(azureml-local env)"; azureml-local stop; azureml-local start``: hosts that are not served must still be
    reached through the company's proxy."""
    variables = client_environment.network(1, home, {"HTTPS_PROXY": "http://proxy.corp:80"})
    assert client_environment.users_own_proxy({**os.environ, **variables}) == "http://proxy.corp:80"


@pytest.mark.parametrize(
    "name", ["*", ".azure.com", "azure.com", "management.azure.com", ".windows.net", "*.api.azureml.ms", "com", ".net"]
)
def test_names_that_would_let_calls_past_the_service_are_dropped(name: str, home: Home) -> None:
    """Usual where Azure is reached over private links; here a call would create things in the real Azure."""
    variables = client_environment.network(1, home, {"NO_PROXY": f"corp.example,{name}"})
    assert name not in variables["NO_PROXY"].split(",")
    assert variables["NO_PROXY"].startswith("corp.example,")


def test_clients_are_kept_in_the_public_cloud(tmp_path_factory: pytest.TempPathFactory) -> None:
    """azure-ai-ml reads AZUREML_CURRENT_CLOUD, azure-identity AZURE_AUTHORITY_HOST: both could lead elsewhere."""
    home = Home(tmp_path_factory.mktemp("h"))
    settings = home.create()
    Authority(home.tls, ("a.example",))
    variables = client_environment.complete(
        settings, 1, home, {"AZURE_AUTHORITY_HOST": "https://login.chinacloudapi.cn"}
    )
    assert variables["AZUREML_CURRENT_CLOUD"] == "AzureCloud"
    assert variables["AZURE_AUTHORITY_HOST"] == "https://login.microsoftonline.com"


def test_proxy_without_a_scheme_is_an_http_proxy() -> None:
    """As curl takes it."""
    assert client_environment.users_own_proxy({"https_proxy": "proxy.corp:3128"}) == "http://proxy.corp:3128"
