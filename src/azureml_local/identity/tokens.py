"""Access tokens: JSON Web Tokens signed with this installation's RSA key.

Claims follow Entra's v1.0 access tokens for an application
(https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
"""

from __future__ import annotations

import base64
import hashlib
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from azureml_local import clock
from azureml_local.home import write_private
from azureml_local.identity import audiences

LIFETIME = 3600  # seconds; Entra's default lies between 60 and 90 minutes
ALGORITHM = "RS256"
REMEMBERED_TOKENS = 1024


class InvalidTokenError(Exception):
    """The token proves nothing. ``code`` is Azure's error code, the message says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Principal:
    """Who is calling: an application and its service principal's object id."""

    client_id: str
    object_id: str


@dataclass(frozen=True)
class _Verified:
    principal: Principal
    audience: str
    expires: int


class TokenService:
    """Issues access tokens and verifies them.

    Args:
        key_file: the signing key; made on first use, readable by its user only.
        tenant_id: the tenant that issues.
    """

    def __init__(self, key_file: Path, tenant_id: str) -> None:
        if not key_file.exists():
            write_private(key_file, _new_key())
        pem = key_file.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{key_file} holds no RSA key")
        self.tenant_id = tenant_id
        self.issuer = f"https://sts.windows.net/{tenant_id}/"
        self._key = key
        self._public_key = key.public_key()
        numbers = self._public_key.public_numbers()
        self.key_id = hashlib.sha256(_big_endian(numbers.n)).hexdigest()[:27]
        self.public_jwk: Mapping[str, str] = {
            "kty": "RSA",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.key_id,
            "n": _base64url(_big_endian(numbers.n)),
            "e": _base64url(_big_endian(numbers.e)),
        }
        # Verifying a signature costs ten times what the rest of a small request does, and clients send one token
        # for an hour.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    def issue(self, principal: Principal, audience: str, lifetime: int = LIFETIME) -> tuple[str, int]:
        """Return a token for ``audience`` and when it expires (seconds since 1970).

        Its ``lifetime`` in seconds passes as fast as :mod:`azureml_local.clock` says, unless clients keep such tokens.
        """
        now = int(time.time())
        if audience.rstrip("/") not in audiences.OF_CLIENTS:
            lifetime = math.ceil(clock.real_seconds(lifetime))
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "appid": principal.client_id,
            "appidacr": "1",
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self.key_id}), claims["exp"]

    def verify(self, token: str, audiences: tuple[str, ...]) -> Principal:
        """Return who holds ``token``.

        Raises:
            InvalidTokenError: it was not signed here, has expired, or is meant for another audience.
        """
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None:
            verified = self._verify_signature(token)
            self._verified[digest] = verified
            if len(self._verified) > REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        if verified.expires <= time.time():
            raise InvalidTokenError("ExpiredAuthenticationToken", "The access token expiry UTC time is in the past.")
        if verified.audience.rstrip("/") not in audiences:
            raise InvalidTokenError(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource "
                f"'{verified.audience}'. It should exactly match with one of the allowed audiences "
                + ",".join(f"'{audience}'" for audience in audiences)
                + ".",
            )
        return verified.principal

    def _verify_signature(self, token: str) -> _Verified:
        try:
            claims = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                issuer=self.issuer,
                options={
                    "require": ["aud", "exp", "nbf", "iss", "appid", "oid"],
                    "verify_aud": False,
                    # Only this installation signs: a token "of the future" is from before the clock was set back.
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidTokenError(
                "ExpiredAuthenticationToken", "The access token expiry UTC time is in the past."
            ) from error
        except jwt.InvalidTokenError as error:
            raise InvalidTokenError("InvalidAuthenticationToken", "The access token is invalid.") from error
        return _Verified(Principal(claims["appid"], claims["oid"]), str(claims["aud"]), int(claims["exp"]))


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
