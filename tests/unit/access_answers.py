"""Right and wrong answers to the exercises on who may call an endpoint."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt

MODES = {"partner": "key", "staff": "aad_token", "cluster": "aml_token", "audited": "aad_token"}


def _claims(token: str) -> dict[str, Any]:
    """As the lesson has it."""
    middle = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


def _why(decode: Callable[[str], dict[str, Any]] = _claims, **reasons: Any) -> Callable[[str, float], str]:
    """A solution; ``reasons`` replaces one of its questions, each of the claims and the time."""
    asked = {
        "expired": lambda found, now: found["exp"] <= now,
        "audience": lambda found, now: "ml.azure.com" not in found["aud"],
        **reasons,
    }

    def why_refused(token: str, now: float) -> str:
        try:
            found = decode(token)
        except (IndexError, ValueError, jwt.InvalidTokenError):
            return "not a token"
        return next((reason for reason, is_so in asked.items() if is_so(found, now)), "role")

    return why_refused


def _current(is_due: Callable[[Any, float], bool]) -> Callable[[Any, Callable[[], Any], float], Any]:
    return lambda token, fetch, now: fetch() if token is None or is_due(token, now) else token


RIGHT: dict[str, list[object]] = {
    "secure_an_endpoint/choose": [MODES, {**MODES, "more": "key"}],
    "secure_an_endpoint/why_refused": [
        _why(),
        _why(decode=lambda token: jwt.decode(token, options={"verify_signature": False})),
        _why(audience=lambda found, now: found["aud"].strip("/") != "https://ml.azure.com"),
        lambda token, now: _why()(token, now) if token.count(".") == 2 else "not a token",
    ],
    "secure_an_endpoint/renew": [
        _current(lambda token, now: now >= token.refresh_after_time_utc),
        _current(lambda token, now: now > token.refresh_after_time_utc),
        lambda token, fetch, now: token if token and now < token.refresh_after_time_utc else fetch(),
    ],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "secure_an_endpoint/choose": [
        ({**MODES, "partner": "aad_token"}, "has none in your directory"),
        ({**MODES, "partner": "aml_token"}, "a role in your subscription"),
        ({**MODES, "staff": "key"}, "the same two keys"),
        ({**MODES, "staff": "aml_token"}, "opens for whoever has it"),
        ({**MODES, "cluster": "aad_token"}, "do not take Entra's tokens"),
        ({**MODES, "cluster": "key"}, "never ends by itself"),
        ({**MODES, "audited": "key"}, "cannot tell them apart"),
        ({**MODES, "audited": "aml_token"}, "the log knows who called"),
        ({**MODES, "staff": "entra"}, "'entra' for staff is no mode"),
        ({"partner": "key"}, "missing: staff, cluster, audited"),
        (list(MODES.values()), "of type list"),
    ],
    "secure_an_endpoint/why_refused": [
        (_why(expired=lambda found, now: False), "says 'role' of a token that ended a second ago"),
        (_why(expired=lambda found, now: found["exp"] < now - 60), "ended a second ago"),
        (_why(expired=lambda found, now: found["exp"] < now + 300), "good for one more second"),
        (_why(audience=lambda found, now: False), "says 'role' of a fresh token for https://management.azure.com"),
        (_why(audience=lambda found, now: found["aud"] != "https://ml.azure.com"), "a slash at the end"),
        (_why(audience=lambda found, now: found["aud"] == "https://management.azure.com"), "management.azure.com/"),
        (lambda token, now: "expired" if _claims(token)["exp"] < now else "role", "raises IndexError for a key"),
        (lambda token, now: None, "says None of a key"),
        (lambda token: "role", "raises TypeError"),
        ("role", "a function is wanted"),
    ],
    "secure_an_endpoint/renew": [
        (_current(lambda token, now: now >= token.expiry_time_utc), "it should have been renewed a second ago"),
        (_current(lambda token, now: True), "has just been fetched"),
        (_current(lambda token, now: False), "should have been renewed"),
        (lambda token, fetch, now: fetch() if now >= token.refresh_after_time_utc else token, "AttributeError"),
        (lambda token, fetch, now: (token or fetch()) if fetch() else None, "fetches 2 tokens"),
        (lambda token, fetch, now: token, "of type NoneType"),
        (lambda token, fetch, now: fetch().access_token, "of type str"),
        (
            lambda token, fetch, now: (fetch(), token)[1] if token and now < token.refresh_after_time_utc else fetch(),
            "in vain",
        ),
        (5, "a function is wanted"),
    ],
}
