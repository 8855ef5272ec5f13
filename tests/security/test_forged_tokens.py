"""Forged, borrowed and stale tokens on every plane that takes tokens: 401, the plane's own words, and nothing else.

RFC 7519 and 8725 (what a verifier must check); the answers: Resource Manager's ``WWW-Authenticate`` (section 2.2 of the
notes on Azure's wire shapes), the storage's bearer challenge as azure-storage-blob's ``StorageHttpChallenge`` parses it
and as raw answers show it, RFC 9110, 15.5.2 for the scoring router.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from targets import Endpoint

from running_service import RunningService

AUDIENCES = {
    "arm": "https://management.azure.com",
    "scoring": "https://ml.azure.com",
    "storage": "https://storage.azure.com",
    "run history": "https://ml.azure.com",
}
OWN = "scoring by tokens of its own"  # an endpoint whose authMode is AMLToken; Entra gives out no token for it
PLANES = (*AUDIENCES, OWN)
# Planes that also take the tokens for another: azure-ai-ml shows the services behind the workspace API either.
ALSO = {("run history", "arm")}
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+.*")
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forger:
    """Makes tokens that a careless verifier would take. Signed by the service's own key, where it says so."""

    good: str
    key: Any

    @property
    def claims(self) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(self.good, options={"verify_signature": False})
        return found

    def signed(self, **changes: Any) -> str:
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return jwt.encode(claims, self.key, "RS256", headers={"kid": jwt.get_unverified_header(self.good)["kid"]})

    def with_header(self, **changes: Any) -> str:
        """The good token's claims and signature under another header."""
        header = {**jwt.get_unverified_header(self.good), **changes}
        return f"{encoded(header)}.{self.good.split('.')[1]}.{self.good.split('.')[2]}"

    def with_claims(self, **changes: Any) -> str:
        """The good token's header and signature around other claims."""
        header, _, signature = self.good.split(".")
        return f"{header}.{encoded({**self.claims, **changes})}.{signature}"

    def by_stranger(self, **header: Any) -> str:
        return jwt.encode(self.claims, STRANGER, "RS256", headers=header)

    def by_public_key(self, public: bytes) -> str:
        """HS256, with the public key as the secret (CVE-2015-9235)."""
        text = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(self.claims)}"
        return f"{text}.{encoded(hmac.new(public, text.encode(), hashlib.sha256).digest())}"

    def public(self, form: str) -> bytes:
        formats = {
            "pem": (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "pkcs1": (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
            "der": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        }
        found: bytes = self.key.public_key().public_bytes(*formats[form])
        return found

    def stranger_jwk(self) -> dict[str, Any]:
        return json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key()))


def now() -> int:
    return int(time.time())


FORGERIES: dict[str, Callable[[Forger], str]] = {
    "alg none": lambda f: f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{f.good.split('.')[1]}.",
    "alg None": lambda f: f"{encoded({'alg': 'None'})}.{f.good.split('.')[1]}.{f.good.split('.')[2]}",
    "alg nOnE without a signature": lambda f: f"{encoded({'alg': 'nOnE'})}.{f.good.split('.')[1]}.",
    "HS256 with the public key in PEM": lambda f: f.by_public_key(f.public("pem")),
    "HS256 with the public key in PKCS 1": lambda f: f.by_public_key(f.public("pkcs1")),
    "HS256 with the public key in DER": lambda f: f.by_public_key(f.public("der")),
    "HS256 with an empty secret": lambda f: f.by_public_key(b""),
    "another key": lambda f: f.by_stranger(),
    "another key under our key's id": lambda f: f.by_stranger(kid=jwt.get_unverified_header(f.good)["kid"]),
    "key in the header": lambda f: f.by_stranger(jwk=f.stranger_jwk()),
    "key at an address": lambda f: f.by_stranger(jku="https://evil.example/keys", x5u="https://evil.example/x"),
    "key id that is a file": lambda f: f.by_stranger(kid="../../../../dev/null"),
    "key id that is a query": lambda f: f.by_stranger(kid="' UNION SELECT 'x'--"),
    "RS512 in the header": lambda f: f.with_header(alg="RS512"),
    "PS256 in the header": lambda f: f.with_header(alg="PS256"),
    "header changed": lambda f: f.with_header(kid="other"),
    "critical extension": lambda f: f.with_header(crit=["exp"]),
    "payload changed": lambda f: f.with_claims(oid="x"),
    "signature cut": lambda f: f.good[:-5],
    "signature changed": lambda f: f.good[:-10] + ("A" if f.good[-10] != "A" else "B") + f.good[-9:],
    "no signature": lambda f: f.good.rpartition(".")[0] + ".",
    "two parts": lambda f: f.good.rpartition(".")[0],
    "five parts": lambda f: f.good + ".x.y",
    "expired": lambda f: f.signed(exp=now() - 1),
    "expired long ago": lambda f: f.signed(exp=1),
    "never expires": lambda f: f.signed(exp=None),
    "expiry that is no number": lambda f: f.signed(exp="never"),
    "no audience": lambda f: f.signed(aud=None),
    "no issuer": lambda f: f.signed(iss=None),
    "no beginning": lambda f: f.signed(nbf=None),
    "no application": lambda f: f.signed(appid=None),
    "no object": lambda f: f.signed(oid=None),
    "another tenant": lambda f: f.signed(iss=f"https://sts.windows.net/{uuid.uuid4()}/"),
    "issuer of version 2": lambda f: f.signed(iss=f"https://login.microsoftonline.com/{f.claims['tid']}/v2.0"),
    "issuer that begins as ours": lambda f: f.signed(iss=f.claims["iss"] + "evil"),
    "audience that begins as ours": lambda f: f.signed(aud=f.claims["aud"] + ".evil.example"),
    "audience in upper case": lambda f: f.signed(aud=f.claims["aud"].upper()),
    "audience among others": lambda f: f.signed(aud=[f.claims["aud"], "https://evil.example"]),
    "empty audience": lambda f: f.signed(aud=""),
    "empty": lambda f: "",
    "not ASCII": lambda f: f.good[:20] + "\xfc\xe9" + f.good[22:],
    "white space within": lambda f: f.good[:20] + " " + f.good[20:],
    "quoted": lambda f: f'"{f.good}"',
    "twice": lambda f: f"{f.good},{f.good}",
    "large": lambda f: f.good + "A" * 20_000,
    "a thousand dots": lambda f: "." * 1000,
    "deeply nested": lambda f: f"{encoded(b'[' * 10_000)}.{encoded(b'[' * 10_000)}.x",
}  # fmt: skip


@dataclass(frozen=True)
class Plane:
    """A place that takes tokens: what it is asked, and the status of whoever is let in."""

    url: str
    headers: dict[str, str]
    welcome: int


@pytest.fixture(scope="module")
def own_endpoint(new_endpoint: Callable[[str], Endpoint]) -> Endpoint:
    return new_endpoint("AMLToken")


@pytest.fixture(scope="module")
def planes(
    service: RunningService, workspace: str, token_endpoint: Endpoint, own_endpoint: Endpoint
) -> dict[str, Plane]:
    blobs = f"https://{service.settings.storage_account}.blob.core.windows.net/azureml?restype=container"
    history = f"https://{service.settings.location}.api.azureml.ms/history/v1.0{workspace}"
    return {
        "arm": Plane(f"https://management.azure.com{workspace}?api-version=2024-10-01", {}, 200),
        "scoring": Plane(f"https://{token_endpoint.host}/score", {}, 404),
        OWN: Plane(f"https://{own_endpoint.host}/score", {}, 404),
        "storage": Plane(blobs, {"x-ms-version": "2021-12-02"}, 200),
        "run history": Plane(f"{history}/runs/none/details", {}, 404),
    }


@pytest.fixture(scope="module")
def forgers(
    service: RunningService,
    token_for: Callable[[str], str],
    arm: Callable[..., requests.Response],
    own_endpoint: Endpoint,
) -> dict[str, Forger]:
    key = serialization.load_pem_private_key(service.home.signing_key.read_bytes(), None)
    own = arm("POST", f"/onlineEndpoints/{own_endpoint.name}/token").json()["accessToken"]
    tokens = {plane: token_for(audience) for plane, audience in AUDIENCES.items()} | {OWN: own}
    return {plane: Forger(token, key) for plane, token in tokens.items()}


def ask(session: requests.Session, plane: Plane, token: str) -> requests.Response:
    headers = {**plane.headers, "Authorization": f"Bearer {token}".encode("latin-1")}
    return session.get(plane.url, headers=headers, timeout=60)


def require_challenge(name: str, answer: requests.Response, tenant: str) -> None:
    """Check the plane's own 401."""
    assert answer.status_code == 401, answer.text
    challenge = answer.headers["WWW-Authenticate"]
    if name == "arm":
        assert challenge.startswith(
            f'Bearer authorization_uri="https://login.windows.net/{tenant}", error="invalid_token"'
        )
        assert set(answer.json()["error"]) == {"code", "message"}
    elif name == "storage":
        assert challenge == (
            f"Bearer authorization_uri=https://login.microsoftonline.com/{tenant}/oauth2/authorize "
            "resource_id=https://storage.azure.com"
        )
        assert answer.headers["x-ms-error-code"] == "InvalidAuthenticationInfo"
    elif name == "run history":
        assert challenge == "Bearer"
        assert answer.json()["error"]["code"] == "UserError"
    else:
        assert challenge == "Bearer"
        assert answer.headers["content-type"] == "text/plain"


@pytest.fixture(scope="module", autouse=True)
def nothing_of_it_is_logged(service: RunningService, forgers: dict[str, Forger]) -> Iterator[None]:
    yield
    logs = "".join(path.read_text(errors="replace") for path in service.home.logs.iterdir())
    for forger in forgers.values():
        for part in forger.good.split("."):
            assert part not in logs
    assert encoded({"alg": "none", "typ": "JWT"}) not in logs
    # Dask, which other tests use, leaves tracebacks of its own; one of ours goes through our code.
    assert [one for one in TRACEBACK.findall(logs) if "azureml_local" in one] == []


@pytest.mark.parametrize("name", PLANES)
def test_good_token_is_let_in(
    name: str, planes: dict[str, Plane], forgers: dict[str, Forger], session: requests.Session
) -> None:
    """Without this, the refusals below would prove nothing; nor would they, were ``signed`` not to sign well."""
    assert ask(session, planes[name], forgers[name].good).status_code == planes[name].welcome
    assert ask(session, planes[name], forgers[name].signed()).status_code == planes[name].welcome


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("name", PLANES)
def test_forged_token_is_refused(
    name: str, forgery: str, planes: dict[str, Plane], forgers: dict[str, Forger], session: requests.Session,
    service: RunningService,
) -> None:  # fmt: skip
    forger = forgers[name]
    answer = ask(session, planes[name], FORGERIES[forgery](forger))
    if forgery == "empty" and name in ("scoring", OWN):
        assert answer.text == "key_auth_bad_header_forbidden"
    if forgery == "empty" and name == "storage":  # no token, and so the storage's own answer to the unknown
        assert answer.status_code in (401, 403)
        return
    require_challenge(name, answer, service.settings.tenant_id)
    assert forger.good not in answer.text
    assert forger.claims["oid"] not in answer.text
    for inner in ("jwt", "signature", "Signature", "RS256", "padding", "segments", "Traceback"):
        assert inner not in answer.text


@pytest.mark.parametrize("shown", PLANES)
@pytest.mark.parametrize("name", PLANES)
def test_token_for_one_plane_opens_no_other(
    name: str, shown: str, planes: dict[str, Plane], forgers: dict[str, Forger], session: requests.Session,
    service: RunningService,
) -> None:  # fmt: skip
    answer = ask(session, planes[name], forgers[shown].good)
    if AUDIENCES.get(name) == AUDIENCES.get(shown) or (name, shown) in ALSO:
        assert answer.status_code == planes[name].welcome
    else:
        require_challenge(name, answer, service.settings.tenant_id)


@pytest.mark.parametrize("name", ["scoring", OWN])
def test_token_of_a_job_or_of_another_endpoint_scores_nowhere(
    name: str, planes: dict[str, Plane], forgers: dict[str, Forger], session: requests.Session,
    service: RunningService, arm: Callable[..., requests.Response],
) -> None:  # fmt: skip
    """All of them well signed, for what this service gives tokens out for."""
    forger, own = forgers[name], forgers[OWN].claims["aud"]
    guid = arm("GET", "").json()["properties"]["workspaceId"]
    before, _, created = own.partition("?createdAt=")
    for audience in (
        f"https://api.azureml.ms/workspaces/{guid}",
        before,
        f"{before}x?createdAt={created}",  # of one whose name begins as this one's
        f"{before}?createdAt=2020-01-01T00:00:00.000000Z",  # of one that had the name before
        f"{before}/deployments/blue?createdAt={created}",
    ):
        require_challenge(name, ask(session, planes[name], forger.signed(aud=audience)), service.settings.tenant_id)


@pytest.mark.parametrize("name", PLANES)
def test_token_elsewhere_than_in_the_header_is_not_seen(
    name: str, planes: dict[str, Plane], forgers: dict[str, Forger], session: requests.Session
) -> None:
    """RFC 6750, 2.2 and 2.3 allow a form or the query; Azure takes neither."""
    good, plane = forgers[name].good, planes[name]
    url = plane.url + ("&" if "?" in plane.url else "?") + f"access_token={good}&token={good}"
    for answer in (
        session.get(url, headers=plane.headers, timeout=60),
        session.get(plane.url, headers={**plane.headers, "Cookie": f"access_token={good}"}, timeout=60),
        session.get(plane.url, headers={**plane.headers, "X-Ms-Token-Aad-Access-Token": good}, timeout=60),
        session.get(plane.url, headers={**plane.headers, "Proxy-Authorization": f"Bearer {good}"}, timeout=60),
        session.get(plane.url, headers={**plane.headers, "Authorization": f"Basic {good}"}, timeout=60),
        session.get(plane.url, headers={**plane.headers, "Authorization": good}, timeout=60),
    ):
        assert answer.status_code in (401, 403), answer.status_code
        assert good not in answer.text


def test_published_keys_hold_nothing_private(service: RunningService, session: requests.Session) -> None:
    """RFC 7518, 6.3.2: d, p, q, dp, dq, qi, oth are private."""
    answer = session.get(
        f"https://login.microsoftonline.com/{service.settings.tenant_id}/discovery/v2.0/keys", timeout=60
    )
    [key] = answer.json()["keys"]
    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: None,
        lambda secret: "",
        lambda secret: secret.swapcase(),
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret + " x",
        lambda secret: "x" * 20_000,
        lambda secret: f"Bearer {secret}",
        lambda secret: "\xfc\xe9",
    ],
)
def test_managed_identity_wants_its_own_header(change: Callable[[str], str | None], service: RunningService) -> None:
    """https://learn.microsoft.com/azure/app-service/overview-managed-identity: the header keeps requests out that a
    program is tricked into (SSRF)."""
    value = change(service.settings.identity_header)
    url = f"http://127.0.0.1:{service.port}/msi/token?resource=https://management.azure.com&api-version=2019-08-01"
    headers = {} if value is None else {"X-IDENTITY-HEADER": value.encode("latin-1")}
    answer = requests.get(url, headers=headers, timeout=60)
    assert answer.status_code == 401
    assert set(answer.json()) == {"statusCode", "code", "message"}
    assert "access_token" not in answer.text


def test_identity_header_in_the_query_is_not_seen(service: RunningService) -> None:
    url = f"http://127.0.0.1:{service.port}/msi/token?resource=https://management.azure.com"
    answer = requests.get(f"{url}&X-IDENTITY-HEADER={service.settings.identity_header}", timeout=60)
    assert answer.status_code == 401
