"""Secrets that a deployment names in its environment variables, to be read whenever an instance starts.

https://learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoint-with-secret-injection#create-a-deployment
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

REFERENCE = re.compile(r"\$\{\{\s*((?:keyvault|azureml):.*?)\s*\}\}", re.DOTALL)

# Takes what stands between ``${{`` and ``}}``, and returns the secret. Raises SecretReferenceError.
ReadSecret = Callable[[str], str]


class SecretReferenceError(Exception):
    """A secret cannot be read; the message says which one, and why."""


def names_secrets(variables: Mapping[str, str]) -> bool:
    """Say whether environment variables name any secret."""
    return any(REFERENCE.fullmatch(text) for text in variables.values())


def resolved(variables: Mapping[str, str], read: ReadSecret) -> dict[str, str]:
    """Return environment variables with secrets in place of references to them. Raises SecretReferenceError."""
    return {name: _value(name, text, read) for name, text in variables.items()}


def _value(name: str, text: str, read: ReadSecret) -> str:
    reference = REFERENCE.fullmatch(text)
    if reference is None:
        return text
    try:
        return read(reference[1])
    except SecretReferenceError as error:
        raise SecretReferenceError(f"the environment variable {name} names {reference[1]}: {error}") from error
