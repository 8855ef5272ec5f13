"""The exercises of *Secure an endpoint*."""

from __future__ import annotations

import base64
import json
from typing import Any

from azure.ai.ml.entities import EndpointAuthToken

from helpers.verdicts import CheckResult, exercise, right, wrong

MODES = ("key", "aml_token", "aad_token")
# For each endpoint: the mode, and what speaks against each other one.
CHOICES = {
    "partner": (
        "key",
        {
            "aml_token": "who fetches such a token must have a role in your subscription first.",
            "aad_token": "Entra gives its tokens to identities; the partner's program has none in your directory.",
        },
    ),
    "staff": (
        "aad_token",
        {
            "key": "all 200 know the same two keys: one who leaves takes them along, or everybody gets a new one.",
            "aml_token": "such a token opens for whoever has it, until it ends; nothing can be taken back from one.",
        },
    ),
    "cluster": (
        "aml_token",
        {
            "key": "a key never ends by itself.",
            "aad_token": "endpoints on Kubernetes do not take Entra's tokens: look at the row *where*.",
        },
    ),
    "audited": (
        "aad_token",
        {
            "key": "all programs show the same key, so the log cannot tell them apart.",
            "aml_token": "whoever has such a token shows it; look at the row *the log knows who called*.",
        },
    ),
}


@exercise("secure_an_endpoint/choose", "Assign a dictionary with the four keys of the table.")
def choose(answer: Any) -> CheckResult:
    """Accept the mode that fits each of the four endpoints."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [name for name in CHOICES if name not in answer]:
        return wrong(f"missing: {', '.join(missing)}.")
    for name, (mode, objections) in CHOICES.items():
        chosen = answer[name]
        if chosen not in MODES:
            return wrong(f"{chosen!r} for {name} is no mode: it is one of {', '.join(MODES)}.")
        if chosen != mode:
            return wrong(f"{name} with `{chosen}`: {objections[chosen]}")
    return right("a key where there is no identity, a token that ends where Entra's are not taken, Entra elsewhere.")


NOW = 1_800_000_000  # seconds since 1970
HOUR = 3600
ML, ARM = "https://ml.azure.com", "https://management.azure.com"


def _token(audience: str, expires: int) -> str:
    claims = {"aud": audience, "exp": expires, "oid": "someone"}
    parts = (json.dumps({"alg": "RS256", "typ": "JWT"}), json.dumps(claims), "signature")
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


# What is shown, what is right to say of it, and what it is.
TOKENS = (
    ("open-sesame", {"not a token"}, "a key"),
    ("a.b.c", {"not a token"}, "`a.b.c`, three parts without any claims"),
    (_token(ML, NOW - 1), {"expired"}, "a token that ended a second ago"),
    (_token(ML, NOW - 24 * HOUR), {"expired"}, "yesterday's token"),
    (_token(ARM, NOW + HOUR), {"audience"}, f"a fresh token for {ARM}"),
    (_token(f"{ARM}/", NOW + HOUR), {"audience"}, f"a fresh token for {ARM}/"),
    (_token(ARM, NOW - HOUR), {"audience", "expired"}, f"an old token for {ARM}"),
    (_token(ML, NOW + 1), {"role"}, f"a token for {ML} that is good for one more second"),
    (_token(f"{ML}/", NOW + HOUR), {"role"}, f"a fresh token for {ML}/ (a slash at the end changes nothing)"),
)


@exercise("secure_an_endpoint/why_refused", "Write a function of a token and a time that returns one of four texts.")
def why_refused(answer: Any) -> CheckResult:
    """Accept a function that tells the four reasons of a 401 apart."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for token, expected, what in TOKENS:
        try:
            said = answer(token, NOW)
        except Exception as error:
            return wrong(f"your function raises {type(error).__name__} for {what}: it should say so instead.")
        if said not in expected:
            return wrong(f"your function says {said!r} of {what}.")
    return right("what remains when the token is in order is the role, and no token tells of that.")


@exercise("secure_an_endpoint/renew", "Look at `token.refresh_after_time_utc`; there may be no token yet.")
def renew(answer: Any) -> CheckResult:
    """Accept a function that fetches a token where there is none, or where it is time to; and only then."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    held, new = _auth_token("held"), _auth_token("new")
    renewed = held.refresh_after_time_utc
    for token, now, expected, when in (
        (None, NOW, new, "there is no token yet"),
        (held, NOW, held, "the token has just been fetched"),
        (held, renewed - 1, held, "a second is left until it should be renewed"),
        (held, renewed + 1, new, "it should have been renewed a second ago"),
        (held, held.expiry_time_utc - 1, new, "it is a second before its end"),
        (held, held.expiry_time_utc + 1, new, "it has ended"),
    ):
        fetched: list[int] = []

        def fetch(fetched: list[int] = fetched) -> EndpointAuthToken:
            fetched.append(1)
            return new

        returned = answer(token, fetch, now)
        if len(fetched) > 1:
            return wrong(f"one call fetches {len(fetched)} tokens when {when}.")
        if not isinstance(returned, EndpointAuthToken):
            return wrong(f"when {when}, a token is to be returned, not something of type {type(returned).__name__}.")
        if returned is not expected:
            shown = "a new token" if returned is new else "the token that it has"
            return wrong(f"your function returns {shown} when {when}.")
        if fetched and expected is held:
            return wrong(f"a token is fetched in vain when {when}.")
    return right("one request more an hour, and never a token that is too old.")


def _auth_token(text: str) -> EndpointAuthToken:
    return EndpointAuthToken(
        access_token=text,
        expiry_time_utc=NOW + HOUR,
        refresh_after_time_utc=NOW + HOUR // 2,
        token_type="Bearer",  # noqa: S106 - the type of a token
    )
