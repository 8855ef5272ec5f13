"""azureml_local.edge.tls: an authority that cannot deceive anyone about any other host (RFC 5280, 4.2.1.10), judged by
OpenSSL through Python's ssl module."""

import datetime
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from azureml_local.edge import hosts, tls
from azureml_local.edge.tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), hosts.domains())


def handshake(server: ssl.SSLContext, trusted: Path, host: str) -> x509.Certificate:
    """Shake hands in memory and return the server's certificate. Raises ssl.SSLError where the client refuses."""
    client = ssl.create_default_context(cafile=str(trusted))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    done = 0
    while done < 2:
        done = 0
        for side in (near, far):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
    encoded = near.getpeercert(binary_form=True)
    assert encoded
    return x509.load_der_x509_certificate(encoded)


@pytest.mark.parametrize(
    "host",
    ["management.azure.com", "login.microsoftonline.com", "ep.eastus.inference.ml.azure.com", "a.blob.core.windows.net",
     "eastus.api.azureml.ms", "x" * 40 + ".southeastasia.inference.ml.azure.com"],
)  # fmt: skip
def test_served_hosts_are_trusted(host: str, authority: Authority) -> None:
    certificate = handshake(authority.context_for(hosts.certificate_name(host)), authority.certificate_file, host)
    lifetime = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert lifetime <= datetime.timedelta(days=398)  # CA/Browser forum baseline requirements, 6.3.2
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "host", ["packages.example", "www.example.com", "azure.com", "management.azure.com.example", "localhost"]
)
def test_foreign_hosts_are_refused_although_the_authority_signed(host: str, authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(authority.context_for(host), authority.certificate_file, host)


def test_addresses_are_refused_although_the_authority_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ipaddress

    authority = Authority(tmp_path, hosts.domains())
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    monkeypatch.setattr(tls.x509, "DNSName", lambda _: address)
    context = authority.context_for("127.0.0.1")
    monkeypatch.undo()
    with pytest.raises(ssl.SSLCertVerificationError, match="excluded subtree violation"):
        handshake(context, authority.certificate_file, "127.0.0.1")


def test_certificate_for_another_served_host_does_not_do(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(
            authority.context_for("management.azure.com"), authority.certificate_file, "login.microsoftonline.com"
        )


def test_keys_are_their_users_alone_and_no_leaf_stays_behind(authority: Authority) -> None:
    assert stat.S_IMODE((authority.folder / "ca.key").stat().st_mode) == 0o600
    assert {path.name for path in authority.folder.iterdir()} == {"ca.key", "ca.pem"}


def test_authority_is_kept_until_its_domains_change_or_its_end_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Authority(tmp_path, ("a.example",)).certificate_file.read_bytes()
    assert Authority(tmp_path, ("a.example",)).certificate_file.read_bytes() == first
    second = Authority(tmp_path, ("a.example", "b.example")).certificate_file.read_bytes()
    assert second != first
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3650 - 20)
    monkeypatch.setattr(tls, "_now", lambda: later)
    assert Authority(tmp_path, ("a.example", "b.example")).certificate_file.read_bytes() != second


def test_authority_of_a_clock_that_was_wrong_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made when the clock was ahead, it would not be valid for as long."""
    ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    with monkeypatch.context() as patch:
        patch.setattr(tls, "_now", lambda: ahead)
        Authority(tmp_path, hosts.domains())
    mended = Authority(tmp_path, hosts.domains())
    handshake(mended.context_for("management.azure.com"), mended.certificate_file, "management.azure.com")


def test_clock_that_is_set_by_hours_leaves_certificates_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in (-20, 20):
        made = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
        with monkeypatch.context() as patch:
            patch.setattr(tls, "_now", lambda made=made: made)
            (tmp_path / str(hours)).mkdir()
            authority = Authority(tmp_path / str(hours), hosts.domains())
            context = authority.context_for("management.azure.com")
        handshake(context, authority.certificate_file, "management.azure.com")


def test_authority_whose_key_is_anothers_is_replaced(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Authority(tmp_path / name, hosts.domains())
    (tmp_path / "two" / "ca.key").replace(tmp_path / "one" / "ca.key")
    mended = Authority(tmp_path / "one", hosts.domains())
    handshake(mended.context_for("management.azure.com"), mended.certificate_file, "management.azure.com")
