"""azureml_local.identity.tokens: what is signed, and what is refused (RFC 7519; RFC 8725; Azure's codes: section 2.2 of
the notes on Azure's wire shapes)."""

import datetime
import stat
import time
from pathlib import Path

import jwt
import pytest

from azureml_local import clock
from azureml_local.identity import audiences, tokens
from azureml_local.identity.tokens import InvalidTokenError, Principal, TokenService

SOMEBODY = Principal("client", "object")


@pytest.fixture
def service(tmp_path: Path) -> TokenService:
    return TokenService(tmp_path / "key.pem", "tenant")


def code_of(service: TokenService, token: str, allowed: tuple[str, ...] = audiences.ARM) -> str:
    with pytest.raises(InvalidTokenError) as caught:
        service.verify(token, allowed)
    return caught.value.code


@pytest.mark.parametrize("audience", ["https://management.azure.com", "https://management.core.windows.net/"])
def test_token_proves_its_holder(audience: str, service: TokenService) -> None:
    token, expires = service.issue(SOMEBODY, audience)
    assert service.verify(token, audiences.ARM) == SOMEBODY
    assert expires == pytest.approx(time.time() + tokens.LIFETIME, abs=5)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == "https://sts.windows.net/tenant/"
    assert (claims["aud"], claims["tid"], claims["oid"], claims["appid"]) == (audience, "tenant", "object", "client")


def test_key_is_kept_and_is_its_users_alone(service: TokenService, tmp_path: Path) -> None:
    token, _ = service.issue(SOMEBODY, "https://management.azure.com")
    again = TokenService(tmp_path / "key.pem", "tenant")
    assert again.verify(token, audiences.ARM) == SOMEBODY
    assert again.public_jwk == service.public_jwk
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_published_key_verifies(service: TokenService) -> None:
    token, _ = service.issue(SOMEBODY, "https://management.azure.com")
    assert jwt.get_unverified_header(token)["kid"] == service.public_jwk["kid"]
    key = jwt.PyJWK(dict(service.public_jwk)).key
    assert jwt.decode(token, key, ["RS256"], audience="https://management.azure.com")["oid"] == "object"


def test_audience_must_fit(service: TokenService) -> None:
    token, _ = service.issue(SOMEBODY, "https://storage.azure.com")
    assert code_of(service, token) == "InvalidAuthenticationTokenAudience"
    assert service.verify(token, audiences.STORAGE) == SOMEBODY
    assert code_of(service, token) == "InvalidAuthenticationTokenAudience"  # remembered, and checked all the same


def test_token_expires_also_after_it_was_remembered(service: TokenService, monkeypatch: pytest.MonkeyPatch) -> None:
    token, expires = service.issue(SOMEBODY, "https://management.azure.com")
    assert service.verify(token, audiences.ARM) == SOMEBODY
    monkeypatch.setattr(tokens.time, "time", lambda: expires + 1)
    assert code_of(service, token) == "ExpiredAuthenticationToken"
    fresh, _ = service.issue(SOMEBODY, "https://management.azure.com", lifetime=-10)
    monkeypatch.undo()
    stale, _ = service.issue(SOMEBODY, "https://management.azure.com", lifetime=-10)
    assert code_of(service, stale) == "ExpiredAuthenticationToken"
    assert fresh


def test_another_issuers_or_keys_token_is_invalid(service: TokenService, tmp_path: Path) -> None:
    stranger = TokenService(tmp_path / "other.pem", "tenant")
    assert code_of(service, stranger.issue(SOMEBODY, "https://management.azure.com")[0]) == "InvalidAuthenticationToken"
    other_tenant = TokenService(tmp_path / "key.pem", "another")
    token, _ = other_tenant.issue(SOMEBODY, "https://management.azure.com")
    assert code_of(service, token) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ü.ü.ü"])
def test_rubbish_is_invalid(token: str, service: TokenService) -> None:
    assert code_of(service, token) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("missing", ["aud", "exp", "appid", "oid"])
def test_claims_are_required(missing: str, service: TokenService) -> None:
    claims = {
        "aud": "https://management.azure.com", "iss": service.issuer, "exp": int(time.time()) + 60, "appid": "a",
        "oid": "o",
    }  # fmt: skip
    del claims[missing]
    token = jwt.encode(claims, service._key, "RS256")
    assert code_of(service, token) == "InvalidAuthenticationToken"


def test_not_more_is_remembered_than_meant(service: TokenService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED_TOKENS", 3)
    for _ in range(6):
        token, _ = service.issue(SOMEBODY, "https://management.azure.com")
        assert service.verify(token, audiences.ARM) == SOMEBODY
    assert len(service._verified) <= 3


@pytest.mark.parametrize("hours", [-26, -5, -0.5, 0.5])
def test_token_stays_good_when_the_clock_is_set(
    hours: float, service: TokenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients keep a token for its hour by their own clock: one "of the future" must not be refused until then."""
    token, _ = service.issue(SOMEBODY, "https://management.azure.com")
    set_clock(monkeypatch, hours)
    for verifier in (service, TokenService(tmp_path / "key.pem", "tenant")):  # the one that runs, and after a restart
        assert verifier.verify(token, audiences.ARM) == SOMEBODY


def test_token_expires_when_the_clock_is_set_forward(service: TokenService, monkeypatch: pytest.MonkeyPatch) -> None:
    token, _ = service.issue(SOMEBODY, "https://management.azure.com")
    service.verify(token, audiences.ARM)
    set_clock(monkeypatch, 3)
    assert code_of(service, token) == "ExpiredAuthenticationToken"
    renewed, _ = service.issue(SOMEBODY, "https://management.azure.com")
    assert service.verify(renewed, audiences.ARM) == SOMEBODY


def set_clock(patch: pytest.MonkeyPatch, hours: float) -> None:
    """Set the clock forward (backward where negative), for this module's time and for PyJWT's."""
    now = time.time() + hours * 3600

    class Set(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(now, tz)

    patch.setattr(time, "time", lambda: now)
    patch.setattr("jwt.api_jwt.datetime", Set)


def test_lifetime_passes_as_fast_as_the_clock_factor_says(
    service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """design.md, "Time": the factor shortens durations, time stamps stay true."""
    monkeypatch.setenv(clock.VARIABLE, "60")
    token, expires = service.issue(SOMEBODY, "https://ml.azure.com")
    assert expires == pytest.approx(time.time() + 60, abs=5)
    assert jwt.decode(token, options={"verify_signature": False})["iat"] == pytest.approx(time.time(), abs=5)
    for wrong in ("0", "-1", "fast", "nan", "inf"):
        monkeypatch.setenv(clock.VARIABLE, wrong)
        with pytest.raises(ValueError, match=f"{clock.VARIABLE} is '{wrong}'"):
            clock.real_seconds(1)


@pytest.mark.parametrize("audience", sorted(audiences.OF_CLIENTS))
def test_a_client_has_a_token_that_it_need_not_renew_with_each_request(
    audience: str, service: TokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-core's policy renews a token that is left less than five minutes, however long it was good for."""
    monkeypatch.setenv(clock.VARIABLE, "60")
    for written in (audience, f"{audience}/"):
        _, expires = service.issue(SOMEBODY, written)
        assert expires == pytest.approx(time.time() + tokens.LIFETIME, abs=5)
